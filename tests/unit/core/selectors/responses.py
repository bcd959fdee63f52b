"""Responses that several tests of selectors read."""

import json

from airflow_provider_asyncapi.core.http.messages import Headers, Response

BODY = {
    "id": 7,
    "null": None,
    "empty": "",
    "jobs": [{"id": "7", "state": "done"}, {"id": "a json:b", "state": "odd"}, {"id": "9", "state": None}],
    "by_id": {"7": {"state": "seven"}, "a.b/c": {"state": "dotted"}, "n-1": {"state": "dashed"}},
    "payload": json.dumps({"state": "inner", "deeper": json.dumps({"state": "innermost"})}),
    "payloads": ['{"s": 1}', {"s": 2}],
    "broken": "{",
    "half": '"\ud800"',
}
ANSWER = Response(202, Headers([("Location", "/jobs/7"), ("X-Info", '{"queue": "slow"}')]), json.dumps(BODY).encode())
