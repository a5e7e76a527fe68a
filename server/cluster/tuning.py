"""Sweeps on a cluster, by Ray Tune."""

from __future__ import annotations

from server.sweeps import Course


class RayTuner:
    """The tuner of a cluster: as many trials at once as it trains, and ASHA to end those that fall behind.

    `ray.init` comes first. Any thread will do, that of a replica too.
    """

    def tune(self, course: Course) -> None:
        """See the trials through. Raises what Ray does."""
        # Only now: Tune takes seconds to import, and memory that a server without sweeps need not have.
        from server.cluster.asha import see_through

        # Perhaps stopped meanwhile: then nothing has to be begun, and ended again.
        if not course.is_over:
            see_through(course)
