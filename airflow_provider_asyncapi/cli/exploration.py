"""Send the requests of pasted commands, and find out what a description of the API needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_asyncapi.cli.explaining import format_value
from airflow_provider_asyncapi.cli.narrated_hook import NarratedHook
from airflow_provider_asyncapi.cli.narration import Narrator
from airflow_provider_asyncapi.cli.questions import Questions
from airflow_provider_asyncapi.cli.running import CommandError
from airflow_provider_asyncapi.core.errors import BodyTooLargeError, ContentError
from airflow_provider_asyncapi.core.http.messages import Headers, Response
from airflow_provider_asyncapi.core.jobs.handle import JobHandle
from airflow_provider_asyncapi.core.json_values import JsonValue, as_text, to_comparable
from airflow_provider_asyncapi.core.outcome import Outcome
from airflow_provider_asyncapi.core.requests.bodies import BODY_PARAMETERS, FILE_PARAMETER
from airflow_provider_asyncapi.core.requests.request_template import REQUEST_PARAMETERS
from airflow_provider_asyncapi.core.requests.schedule import parse_retry_after
from airflow_provider_asyncapi.core.selectors.selector import SelectorChain
from airflow_provider_asyncapi.exceptions import AsyncApiRejected
from airflow_provider_asyncapi.importing.exploring import candidates
from airflow_provider_asyncapi.importing.exploring.candidates import Candidate
from airflow_provider_asyncapi.importing.exploring.explored_job import STATUS_CODE_RULES, ExploredJob
from airflow_provider_asyncapi.importing.exploring.request_places import fill_place, find_open_variables, split_path
from airflow_provider_asyncapi.importing.exploring.status_words import guess_outcome

_SHOWN_CANDIDATES = 5
#: The media types of results that are read; others are kept as files.
_READ_TYPES = ("json", "xml", "csv", "text/")
_IDENTIFIER, _RESULT_IDENTIFIER = "{identifier}", "{result_identifier}"
_STATUS_CODE = "status_code"
_ACCEPTED, _SEE_OTHER = 202, 303
#: A 303 names the job or its result in its Location; the flows of tasks don't follow it either.
_KEEP_SEE_OTHER = {"rules": [{"selector": _STATUS_CODE, "in": _SEE_OTHER, "outcome": "success"}]}
_REQUEST = (*REQUEST_PARAMETERS, FILE_PARAMETER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """
    The answers that the command line contains.

    :param identifier: the selector of the identifier.
    :param status: the selector of the status.
    :param outcomes: the meanings of statuses, by their comparable texts.
    :param result: the selector of the result, or of its URL, in the last status.
    :param interval: seconds between polls; None for the default.
    :param timeout: seconds for which the job is polled.
    """

    identifier: str | None = None
    status: str | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    result: str | None = None
    interval: float | None = None
    timeout: float = 600.0


#: Seconds between polls, so that short jobs are seen in each of their statuses.
_INTERVAL = 2.0


class Exploration:
    """
    One job, from its submit to its result.

    :param requests: the parameters of the submit and, if they are known, of the status request and of the one for the
        result.
    :ivar job: what is known so far.
    :ivar seen: the statuses with their meanings, in the order in which they were seen.
    :ivar candidates: the candidates for the identifier.
    :ivar result: the text of the result; None if there is none.
    """

    def __init__(
        self,
        hook: NarratedHook,
        narrator: Narrator,
        requests: Sequence[dict[str, Any]],
        name: str,
        answers: Answers,
        questions: Questions,
    ) -> None:
        self._hook, self._narrator, self._answers, self._questions = hook, narrator, answers, questions
        submit, status, fetch = (*requests, None, None)[:3]
        self._status_request, self._fetch_request = status, fetch
        self.job = ExploredJob(name=name, submit=dict(submit or {}), status={})
        self.seen: dict[str, tuple[JsonValue, Outcome | None]] = {}
        self.candidates: list[Candidate] = []
        self.result: str | None = None
        self._variables: dict[str, JsonValue] = {}
        self._polls: list[Response] = []
        self._is_by_code = False
        self._ends_without_status = False
        self._replaced: str | None = None

    def run(self) -> Outcome:
        """
        Submit a job, poll it until it is over, and request its result.

        :return: the outcome; running if the time is over.
        :raises CommandError: if something can't be found out, and nobody can be asked.
        """
        self._narrator.begin("Submit")
        response = self._send(self.job.submit, **_KEEP_SEE_OTHER)
        self._choose_identifier(response)
        outcome = self._poll()
        self._describe_statuses(outcome)
        if outcome is Outcome.SUCCESS:
            self._find_result()
        return outcome

    def _send(self, parameters: Mapping[str, Any], **more: Any) -> Response:
        given = {name: parameters[name] for name in _REQUEST if name in parameters} | more
        endpoint = given.pop("endpoint")
        has_body = any(name in given for name in (*BODY_PARAMETERS, FILE_PARAMETER))
        method = given.pop("method", "POST" if has_body else "GET")
        answered = self._hook.request(method, endpoint, variables=self._variables, **given)
        self._narrator.flush()
        headers = Headers(answered.headers.items())
        return Response(answered.status_code, headers, answered.content, url=answered.url, method=answered.method)

    # The identifier

    def _choose_identifier(self, response: Response) -> None:
        submit = self.job.submit
        found = candidates.find_identifiers(response, submit, self._status_request)
        self.candidates = found
        if self._answers.identifier is not None:
            chosen = self._select(self._answers.identifier, response, "--identifier")
            chosen = next((each for each in found if each.selector == chosen.selector), None) or (
                candidates.place_identifier(chosen, submit, self._status_request)
            )
        elif not found:
            raise CommandError(
                "--identifier: nothing in the response looks like the identifier of a job; name its selector, such as"
                " --identifier data.id, or add the command for the status, with the identifier of a job in it"
            )
        else:
            chosen = self._choose("identifier", found, "Which one is the identifier of the job?")
        self._variables["identifier"] = chosen.value
        submit["identifier"] = chosen.selector
        self._narrator.handle = JobHandle(chosen.value)
        self._replaced = chosen.replaces
        self.job.status = self._make_status_request(chosen)

    def _make_status_request(self, chosen: Candidate) -> dict[str, Any]:
        request = self._status_request
        if chosen.is_link:
            return {**(request or {}), "endpoint": _IDENTIFIER}
        if request is None:
            endpoint = f"{self.job.submit['endpoint'].rstrip('/')}/{_IDENTIFIER}"
            self.job.comments["status", "endpoint"] = "Assumed: no command for the status was given."
            return {"endpoint": endpoint}
        if chosen.replaces is None:
            raise CommandError(
                "--curl: the command for the status has no place for the identifier; write {identifier} there"
            )
        # Slashes of an identifier that is several parts of the path stay slashes.
        variable = "{+identifier}" if "/" in chosen.replaces else _IDENTIFIER
        filled = fill_place(request, chosen.replaces, variable)
        self._refuse_open_variables(filled, {"identifier"})
        return filled

    def _refuse_open_variables(self, parameters: Mapping[str, Any], known: set[str]) -> None:
        if unknown := sorted(find_open_variables(parameters) - known):
            raise CommandError(f"--var: the variable {unknown[0]} has no value; add --var {unknown[0]}=…")

    def _select(self, selector: str, response: Response, option: str) -> Candidate:
        chain = SelectorChain.parse(selector, option)
        try:
            found = chain.find_first(response, self._variables)
        except ContentError as error:
            raise CommandError(f"{option}: {error}") from None
        if found is None:
            nearest = chain.describe_nearest(response, self._variables)
            raise CommandError(f"{option}: {selector!r} finds nothing in the response{nearest}")
        return Candidate(selector, found[1], (f"{option} names it",), 0)

    def _choose(self, what: str, found: Sequence[Candidate], question: str, *others: str) -> Candidate:
        """Show candidates, and return the best one, or the one that somebody chooses."""
        shown = list(found[:_SHOWN_CANDIDATES])
        lines = [f"{each.selector} = {format_value(each.value)}: {', '.join(each.reasons)}" for each in shown]
        if self._questions.are_possible and len(shown) + len(others) > 1:
            index = self._questions.choose(question, [*map(self._hook.api.redact, lines), *others])
            return shown[index] if index < len(shown) else Candidate("", None, (), 0)
        for number, line in enumerate(lines):
            self._narrator.write(f"  {what if not number else 'or'}: {line}")
        return shown[0]

    # The status

    def _poll(self) -> Outcome:
        self._narrator.begin(f"Status of job {self._variables['identifier']}", polls=True)
        waited = 0.0
        while True:
            response = self._send(self.job.status, **_KEEP_SEE_OTHER)
            self._polls.append(response)
            status = self._read_status(response)
            outcome = self._classify(status, response)
            self._narrator.handle = JobHandle(self._variables["identifier"], status=status)
            if outcome is not None and outcome.is_final:
                return outcome
            pause = self._find_pause(response)
            if waited + pause > self._answers.timeout:
                return Outcome.RUNNING
            self._narrator.sleep(pause)
            waited += pause

    def _find_pause(self, response: Response) -> float:
        if self._answers.interval is not None:
            return self._answers.interval
        hint = parse_retry_after(response.headers.get("retry-after"), self._hook.api.clock())
        return _INTERVAL if hint is None else max(hint, 0.5)

    def _read_status(self, response: Response) -> JsonValue:
        status = self.job.status
        if "completion_key" not in status and not self._is_by_code:
            if self._answers.status is not None:
                chosen = self._select(self._answers.status, response, "--status")
                status["completion_key"] = chosen.selector
            elif found := candidates.find_statuses(response):
                status["completion_key"] = self._choose("status", found, "Which one is the status of the job?").selector
            if status.get("completion_key", _STATUS_CODE) == _STATUS_CODE:
                status.pop("completion_key", None)
                self._is_by_code = True
                self._narrator.write("  status: the status code, since the body contains none")
        if self._is_by_code:
            return response.status
        try:
            return SelectorChain.parse(status["completion_key"], "--status").find_value(response, self._variables)
        except ContentError:
            # A 303 has no body.
            return None

    def _classify(self, status: JsonValue, response: Response) -> Outcome | None:
        """Return what a status means; None if it isn't known, which counts as running."""
        key = to_comparable(status)
        if key in self.seen:
            return self.seen[key][1]
        if self._is_by_code:
            outcome: Outcome | None = Outcome.RUNNING if response.status == _ACCEPTED else Outcome.SUCCESS
        elif status is None and (response.status == _SEE_OTHER or self._has_accepted()):
            # The API answers 202 while the job runs, and then with its result, which has no status.
            outcome = Outcome.RUNNING if response.status == _ACCEPTED else Outcome.SUCCESS
            self._ends_without_status = outcome is Outcome.SUCCESS
        else:
            outcome = self._answers.outcomes.get(key) or self._ask_outcome(status)
        if status is not None:
            self.seen[key] = (status, outcome)
            meaning = f"counts as {outcome}" if outcome else "isn't known, so it counts as running"
            self._narrator.write(f"  {format_value(status)} {meaning}")
        return outcome

    def _has_accepted(self) -> bool:
        return any(response.status == _ACCEPTED for response in self._polls)

    def _ask_outcome(self, status: JsonValue) -> Outcome | None:
        answered = {*self._answers.outcomes.values()}
        guess = guess_outcome(status)
        if guess in answered:
            # All statuses with this meaning were given.
            guess = None
        is_complete = answered >= {Outcome.SUCCESS, Outcome.FAILURE}
        if guess is Outcome.RUNNING or status is None or is_complete or not self._questions.are_possible:
            return guess
        first = guess or Outcome.RUNNING
        order = [first, *(each for each in (Outcome.RUNNING, Outcome.SUCCESS, Outcome.FAILURE) if each is not first)]
        return order[self._questions.choose(f"What does {as_text(status)!r} mean?", order)]

    def _describe_statuses(self, outcome: Outcome) -> None:
        """Add to the description what the polls have shown."""
        status = self.job.status
        if self._is_by_code:
            status["rules"] = [dict(rule) for rule in STATUS_CODE_RULES]
        else:
            if self._ends_without_status:
                # A 303 isn't followed if a rule of its own says that it is the end.
                absent = {"selector": status["completion_key"], "exists": False}
                code = {"selector": _STATUS_CODE, "in": [200, 201, 204]}
                is_redirect = self._polls[-1].status == _SEE_OTHER
                rule = {**code, "in": _SEE_OTHER} if is_redirect else {"all": [code, absent]}
                status["rules"] = [{**rule, "outcome": "success"}]
            self._describe_values()
        if progress := candidates.find_progress(self._polls):
            status["progress"] = progress
        if outcome is Outcome.FAILURE and (message := candidates.find_error_message(self._polls[-1:])):
            status["error_message"] = message
        if self._answers.interval is not None:
            status["poke_interval"] = self._answers.interval

    def _describe_values(self) -> None:
        status, comments = self.job.status, self.job.comments
        meanings = [*self.seen.values(), *((value, outcome) for value, outcome in self._answers.outcomes.items())]
        for name, outcome in (("completion_value", Outcome.SUCCESS), ("failure_value", Outcome.FAILURE)):
            values = {to_comparable(value): value for value, meaning in reversed(meanings) if meaning is outcome}
            if not values and outcome is Outcome.FAILURE and self._questions.are_possible:
                answer = self._questions.ask("Which status means that a job has failed? (Enter if you don't know)")
                values = {answer: answer} if answer else {}
            if values:
                status[name] = next(iter(values.values())) if len(values) == 1 else [*reversed(values.values())]
            elif not (self._ends_without_status and outcome is Outcome.SUCCESS):
                what = "succeeded" if outcome is Outcome.SUCCESS else "failed"
                comments["status", name] = f"none was seen; add the statuses of a job that has {what}"
        seen = ", ".join(as_text(value) for value, _ in self.seen.values())
        comments["status", "completion_key"] = f"Seen, in this order: {seen}"

    # The result

    def _find_result(self) -> None:
        last = self._polls[-1]
        if self._answers.result is not None:
            self._use_candidate(self._select(self._answers.result, last, "--result"))
        elif self._fetch_request is not None:
            self._fill_fetch_request(self._fetch_request, last)
        elif "location" in last.headers and last.status == _SEE_OTHER:
            self._use_candidate(self._select("header:Location", last, "--result"))
        elif found := candidates.find_results(last, self._variables["identifier"]):
            chosen = self._choose("result", found, "Which one is the result?", "none of these: the last status is it")
            self._use_candidate(chosen)
        else:
            self._use_candidate(Candidate("", None, (), 0))

    def _use_candidate(self, chosen: Candidate) -> None:
        if chosen.is_link:
            self.job.status["result_identifier"] = chosen.selector
            self._variables["result_identifier"] = chosen.value
            self._fetch({"endpoint": _RESULT_IDENTIFIER})
            return
        status = self.job.status
        self.job.fetch = {name: status[name] for name in REQUEST_PARAMETERS if name in status}
        if chosen.selector:
            self.job.fetch["result_path"] = chosen.selector
        self.result = as_text(chosen.value) if chosen.selector else self._polls[-1].text

    def _fill_fetch_request(self, request: Mapping[str, Any], last: Response) -> None:
        """Replace the identifiers in the request for the result with variables: the job's, and that of the result."""
        filled = dict(request)
        texts = [text for text in (self._replaced, as_text(self._variables["identifier"])) if text]
        for text in texts:
            filled = fill_place(filled, text, "{+identifier}" if "/" in text else _IDENTIFIER)
        known = [*split_path(self.job.submit["endpoint"]), *texts, _IDENTIFIER]
        if found := candidates.find_identifiers_of_result(last, filled, known, self._variables["identifier"]):
            chosen = self._choose("result", found, "Which one is the identifier of the result?")
            self.job.status["result_identifier"] = chosen.selector
            self._variables["result_identifier"] = chosen.value
            filled = fill_place(filled, chosen.replaces or "", _RESULT_IDENTIFIER)
        self._refuse_open_variables(filled, {"identifier", "result_identifier"})
        if not {"identifier", "result_identifier"} & find_open_variables(filled):
            self.job.comments["fetch",] = "The request contains no identifier: is it the same for each job?"
        self._fetch(filled)

    def _fetch(self, parameters: dict[str, Any]) -> None:
        self.job.fetch = dict(parameters)
        self._narrator.begin("Fetch")
        try:
            response = self._send(parameters)
        except AsyncApiRejected as error:
            if not isinstance(error.__cause__, BodyTooLargeError):
                raise
            self._write_to_file("The result is larger than 1 MiB.")
            return
        self.result = response.text
        if response.content_type and not any(kind in response.content_type for kind in _READ_TYPES):
            self.job.fetch["output_type"] = "file"
            self._write_to_file(f"The result is {response.content_type}.")
        elif rows := candidates.find_rows(response):
            self.job.fetch["result_path"] = rows

    def _write_to_file(self, reason: str) -> None:
        self._narrator.write(f"  {reason} The DAG writes it to a file")
        self.job.destination = f"file:///tmp/{self.job.name}/{{{{ ds }}}}/"
