from __future__ import annotations

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from airflow_provider_asyncapi.transports.cancellation import Cancellation


@pytest.mark.timeout(30)
def test_a_request_wakes_all_that_sleep_below_it():
    cancellation = Cancellation()
    has_begun = threading.Barrier(3)

    def sleep(given: Cancellation) -> None:
        has_begun.wait(10)
        given.sleep(36_000)

    with ThreadPoolExecutor(2) as pool, cancellation.make_child() as child, child.make_child() as grandchild:
        sleeping = [pool.submit(sleep, each) for each in (child, grandchild)]
        has_begun.wait(10)
        cancellation.request()
        for future in sleeping:
            with pytest.raises(CancelledError):
                future.result()


def test_a_request_to_concurrent_flows_does_not_stop_the_flow_that_runs_them():
    cancellation = Cancellation()
    with cancellation.make_child() as child:
        child.request()
    cancellation.check()
    cancellation.sleep(0)


def test_what_begins_after_a_request_stops_at_once():
    cancellation = Cancellation()
    cancellation.request()
    with cancellation.make_child() as child:
        assert child.is_requested()
        with pytest.raises(CancelledError):
            child.check()


def test_a_request_reaches_no_flow_that_has_ended():
    cancellation = Cancellation()
    with cancellation.make_child() as child:
        pass
    cancellation.request()
    assert not child.is_requested()
