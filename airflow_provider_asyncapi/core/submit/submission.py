"""The state of a submission, which is saved from try to try so that a job is submitted exactly once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from airflow_provider_asyncapi.core.connection.api import Api
from airflow_provider_asyncapi.core.errors import InvalidHandleError
from airflow_provider_asyncapi.core.http.file_bodies import identify
from airflow_provider_asyncapi.core.http.messages import Request
from airflow_provider_asyncapi.core.http.redaction import is_sensitive_name
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.jobs.stored_fields import read_fields
from airflow_provider_asyncapi.core.json_values import JsonValue
from airflow_provider_asyncapi.core.submit.resubmit_plan import Attempt, read_attempts
from airflow_provider_asyncapi.core.text import shorten

#: Version of the stored layout; see :mod:`~.stored_fields`.
VERSION = 1
#: Largest number of parts of a request that have a digest, and the longest name of a part, in characters.
_MOST_PARTS, _LONGEST_NAME = 100, 60


@dataclass(frozen=True, slots=True)
class Submission:
    """
    The state of a submission.

    :param key: the idempotency key, set before the first request.
    :param generation: a number that rises when a user clears the task; a submission of an earlier generation doesn't
        count. None if the record can't be read.
    :param fingerprint: a hash by which a changed request is recognized; empty if it wasn't saved.
    :param answered: number of the requests (the submit, then each ``start``) that the API has answered.
    :param sent: whether the next request may have been sent.
    :param sent_at: time of the first request, in seconds since the epoch.
    :param handle: the job, once it has an identifier.
    :param callbacks: the digests of the callback URLs that the API may have got, one for each try that sent a request.
    :param connection: the connection whose settings verify callbacks.
    :param parts: a short digest of each part of the request by the name of the part, to name the changed ones.
    :param clears: number of clears of any task of the DAG run; None if it wasn't saved.
    :param prepared: number of the ``prepare`` requests that the API has answered.
    :param captured: the captures of these requests.
    :param problem: the reason why the response to the submit contains no job; empty without this response.
    :param attempts: the earlier jobs of this try of the task that have failed (:class:`~.resubmit_plan.Attempt`).
    :param due_at: time before which the submit isn't sent, in seconds since the epoch; None to send it at once.
    :param repairs: the failed job that the API is asked to resume instead of a submit; None for a submit.
    :param profile: name and version of the profile that describes the submit; empty for none.
    :param trace: as for :class:`~.JobHandle`, from before the submit on.
    """

    key: str
    generation: int | None = 0
    _: KW_ONLY
    fingerprint: str = ""
    answered: int = 0
    sent: bool = False
    sent_at: float | None = None
    handle: JobHandle | None = None
    callbacks: tuple[str, ...] = ()
    connection: str = ""
    problem: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    clears: int | None = None
    attempts: tuple[Mapping[str, JsonValue], ...] = ()
    prepared: int = 0
    captured: Mapping[str, JsonValue] = field(default_factory=dict)
    due_at: float | None = None
    repairs: JobHandle | None = None
    profile: Mapping[str, JsonValue] = field(default_factory=dict)
    trace: Mapping[str, JsonValue] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Any) -> Submission | None:
        """
        Parse a saved record.

        A record that can't be read counts as the record of a job that may have been submitted.

        :raises NewerLayoutError: if a newer version of this provider has saved it in a layout that this one can't read.
        """
        if not given:
            return None
        fields: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
        key, generation = str(fields.get("key", "")), fields.get("generation")
        uncertain = cls(key, generation if isinstance(generation, int) else None, sent=True)
        names = [each.name for each in dataclasses.fields(cls)]
        try:
            fields = read_fields(fields, "the record of the submission", version=VERSION, known=names)
            return dataclasses.replace(
                uncertain,
                fingerprint=str(fields["fingerprint"]),
                answered=int(fields["answered"]),
                sent=bool(fields["sent"]),
                sent_at=None if fields["sent_at"] is None else float(fields["sent_at"]),
                handle=None if fields["handle"] is None else JobHandle.parse(fields["handle"]),
                callbacks=tuple(map(str, fields.get("callbacks", ()))),
                connection=str(fields.get("connection", "")),
                problem=str(fields.get("problem", "")),
                parts={str(name): str(digest) for name, digest in dict(fields.get("parts") or {}).items()},
                clears=None if fields.get("clears") is None else int(fields["clears"]),
                attempts=read_attempts(fields.get("attempts")),
                prepared=int(fields.get("prepared", 0)),
                captured=dict(fields.get("captured") or {}),
                due_at=None if fields.get("due_at") is None else float(fields["due_at"]),
                repairs=None if fields.get("repairs") is None else JobHandle.parse(fields["repairs"]),
                profile=dict(fields.get("profile") or {}),
                trace=dict(fields.get("trace") or {}),
            )
        except (KeyError, TypeError, ValueError, InvalidHandleError):
            return uncertain

    def dump(self) -> dict[str, JsonValue]:
        """Return the record as plain data, without secrets."""
        return {
            "version": VERSION,
            "key": self.key,
            "generation": self.generation,
            "fingerprint": self.fingerprint,
            "answered": self.answered,
            "sent": self.sent,
            "sent_at": self.sent_at,
            "handle": None if self.handle is None else self.handle.dump(),
            "callbacks": list(self.callbacks),
            "connection": self.connection,
            "problem": self.problem,
            "parts": dict(self.parts),
            "clears": self.clears,
            "attempts": [dict(each) for each in self.attempts],
            "prepared": self.prepared,
            "captured": dict(self.captured),
            "due_at": self.due_at,
            "repairs": None if self.repairs is None else self.repairs.dump(),
            "profile": dict(self.profile),
            **({"trace": dict(self.trace)} if self.trace else {}),
        }

    def may_have_job(self, generation: int | None) -> bool:
        """
        Return whether the API may have made a job.

        :param generation: the current one; the job of an earlier one doesn't count.
        """
        return self.generation in (None, generation) and (self.sent or self.handle is not None)

    def seconds_until_due(self, generation: int | None, now: float) -> float:
        """
        Return the seconds until the submit may be sent; 0 if it may be sent at once, or may have been sent.

        :param generation: the current one; after a Clear, a job is submitted at once.
        :param now: the current time, in seconds since the epoch.
        """
        if self.due_at is None or self.generation != generation or self.may_have_job(generation):
            return 0.0
        return max(0.0, self.due_at - now)

    def differences(self, other: Submission) -> list[str]:
        """Return the names of the parts in which two requests differ; an empty list if a record has no digests."""
        if not self.parts or not other.parts:
            return []
        return sorted(name for name in {**self.parts, **other.parts} if self.parts.get(name) != other.parts.get(name))

    def for_new_request(self) -> Submission:
        """Return the record of a new job with a new key, since an API accepts a key for one request only."""
        return dataclasses.replace(self, key=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.key}/{self.fingerprint}")))

    def for_submit_instead(self) -> Submission:
        """Return the record of a submit after the API has refused to repair the job, with a key of its own."""
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.key}/submit"))
        return dataclasses.replace(
            self, key=key, repairs=None, answered=0, sent=False, sent_at=None, due_at=None, problem=""
        )

    def for_next_job(
        self, failed: Attempt | None = None, due_at: float | None = None, repairs: JobHandle | None = None
    ) -> Submission:
        """
        Return the record of another job, with a key of its own, after the job of this one has ended.

        :param failed: the job of this record, if the same try of the task submits the other one.
        :param due_at: time before which that one isn't submitted, in seconds since the epoch.
        :param repairs: the failed job that is resumed instead.
        """
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.key}/next"))
        attempts = () if failed is None else (*self.attempts, failed.dump())
        return Submission(
            key,
            self.generation,
            connection=self.connection,
            clears=self.clears,
            attempts=attempts,
            due_at=due_at,
            repairs=repairs,
        )


def fingerprint(api: Api, request: Request, prepare: Iterable[Request] = ()) -> str:
    """
    Return a hash that is equal for equal requests; secrets don't count, so none can be guessed from it.

    :param request: the submit.
    :param prepare: the requests before it.
    """
    if prepared := [fingerprint(api, each) for each in prepare]:
        return hashlib.sha256("\0".join([fingerprint(api, request), *prepared]).encode()).hexdigest()[:32]
    headers = sorted(
        (name.lower(), value) for name, value in request.with_default_headers().headers if not is_sensitive_name(name)
    )
    shown = [request.method, request.url, repr(headers), identify(request.body).decode("latin-1")]
    return hashlib.sha256("\0".join(map(api.redact, shown)).encode()).hexdigest()[:32]


def digest_parts(api: Api, request: Request, prepare: Iterable[Request] = ()) -> dict[str, str]:
    """
    Return a short digest of each part of a request: its address, parameters, header fields, and keys of its body.

    :param prepare: the requests before it; each is one part.

    A digest shows that a part has changed. It has 16 bits, too few to guess a value from it.
    """
    address, _, query = request.url.partition("?")
    headers = [(name, value) for name, value in request.headers if not is_sensitive_name(name)]
    parts = [("method", request.method), ("endpoint", address)]
    parts += [(f"query_params.{name}", value) for name, value in parse_qsl(query, keep_blank_values=True)]
    parts += [(f"headers.{name.lower()}", value) for name, value in headers]
    parts += _body_parts(identify(request.body))
    parts += [(f"prepare[{number}]", fingerprint(api, each)) for number, each in enumerate(prepare)]
    values: dict[str, str] = {}
    for name, value in parts:
        shown = shorten(api.redact(name), _LONGEST_NAME)
        values[shown] = f"{values.get(shown, '')}\0{value}"
    return {
        name: hashlib.sha256(api.redact(value).encode("utf-8", "surrogatepass")).hexdigest()[:4]
        for name, value in islice(values.items(), _MOST_PARTS)
    }


def _body_parts(body: bytes) -> list[tuple[str, str]]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return [("body", body.decode("latin-1"))]
    if not isinstance(content, dict):
        return [("body", body.decode("latin-1"))]
    return [(f"json.{name}", json.dumps(value)) for name, value in content.items()]
