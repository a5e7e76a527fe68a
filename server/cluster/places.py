"""How many runs a cluster holds at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray._private.state import available_resources_per_node

Resources = Mapping[str, float]

# Ray gives them no types.
all_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
free_resources: Callable[[], dict[str, Resources]] = available_resources_per_node


def count_places(needs: Resources, placed: Mapping[str, int]) -> int:
    """How many runs that need so much there is room for, those included that are placed on a node already.

    `placed`: node id -> how many of our runs are there. It is 1 where all that could hold a run is taken by
    others, who may make room, and 0 where no node is large enough. Ray's own figures may be a second old.
    """
    nodes: dict[str, Resources] = {node["NodeID"]: node["Resources"] for node in all_nodes() if node["Alive"]}
    free = free_resources()
    places = 0
    for node_id, total in nodes.items():
        here = _times(needs, free.get(node_id, {})) + placed.get(node_id, 0)
        places += min(here, _times(needs, total))
    is_possible = any(_times(needs, total) for total in nodes.values())
    return max(places, 1 if is_possible else 0)


def _times(needs: Resources, there: Resources) -> int:
    """How often the needs fit into what is there."""
    # Ray counts in ten-thousandths.
    return min(math.floor(there.get(name, 0.0) / need + 1e-4) for name, need in needs.items())
