"""Pages of lists."""

from __future__ import annotations

import base64
import json

import pytest
from digits.v1 import evaluation_pb2, training_pb2

from server.errors import InvalidArgument, InvalidPageToken
from server.rpc.paging import read_page


def test_without_a_size_and_a_token_it_is_the_first_page_of_the_default_size() -> None:
    page = read_page(training_pb2.ListTrainingsRequest(), default=20, maximum=100)
    assert (page.offset, page.limit) == (0, 20)


def test_following_the_tokens_visits_every_item_once() -> None:
    request = training_pb2.ListTrainingsRequest(page_size=3)
    seen = []
    while True:
        page = read_page(request, default=20, maximum=100)
        seen += range(10)[page.offset : page.offset + page.limit]
        request.page_token = page.next_token(10)
        if not request.page_token:
            break
    assert seen == list(range(10))


@pytest.mark.parametrize("size", [-1, 101])
def test_a_page_size_out_of_range_is_refused_by_name(size: int) -> None:
    with pytest.raises(InvalidArgument, match=r"^page_size: expected 1 to 100, or 0 for 20, got"):
        read_page(training_pb2.ListTrainingsRequest(page_size=size), default=20, maximum=100)


def test_a_token_of_another_query_is_refused() -> None:
    request = evaluation_pb2.ListMisclassifiedRequest(true_digit=4)
    token = read_page(request, default=10, maximum=100).next_token(100)
    other = evaluation_pb2.ListMisclassifiedRequest(true_digit=5, page_token=token)
    with pytest.raises(InvalidPageToken):
        read_page(other, default=10, maximum=100)


def test_the_size_may_change_between_pages() -> None:
    token = read_page(training_pb2.ListTrainingsRequest(page_size=3), default=20, maximum=100).next_token(100)
    page = read_page(
        training_pb2.ListTrainingsRequest(page_size=50, page_token=token), default=20, maximum=100
    )
    assert (page.offset, page.limit) == (3, 50)


def _token(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


QUERY = read_page(training_pb2.ListTrainingsRequest(), default=20, maximum=100).query


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "%%%",
        "é",
        _token(3),
        _token([1]),
        _token([-1, QUERY]),
        _token([True, QUERY]),
        _token([2**40, QUERY]),
        _token([1.5, QUERY]),
        # Deeper than Python follows.
        base64.urlsafe_b64encode(b"[" * 200_000).decode(),
    ],
)
def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidPageToken):
        read_page(training_pb2.ListTrainingsRequest(page_token=token), default=20, maximum=100)
