/** How the jobs of each connection are doing. */

import { Box, Button, Flex, Fragment, h, Text, useState } from "./airflow.js";
import { Ticking } from "./clock.js";
import { formatDuration, formatMoment, formatShortMoment, formatSince } from "./format.js";

/** @typedef {import("react").ReactElement} ReactElement */
/** @typedef {import("./types.d.ts").ConnectionOverview} ConnectionOverview */

/** Milliseconds within which a rate limit counts as one of now: an answer may be that old before the next one. */
const RECENT = 60_000;

/**
 * Say how many polls were answered 429, and over which period.
 *
 * @param {number} count - their number
 * @param {string} since - the time of the first one, ISO 8601
 * @param {string} until - the time of the last one
 * @param {number} now - milliseconds since the epoch
 * @returns {string} such as `3 answers 429 since 14:05`
 */
export const describeRateLimits = (count, since, until, now) => {
  const [first, last] = [formatShortMoment(since, now), formatShortMoment(until, now)];
  const what = `${count} ${count === 1 ? "answer" : "answers"} 429`;
  if (now - new Date(until).getTime() < RECENT) {
    return `${what} since ${first}`;
  }
  return first === last ? `${what} at ${first}` : `${what} from ${first} to ${last}`;
};

/**
 * Return what is said of a connection.
 *
 * @param {ConnectionOverview} connection - its numbers
 * @returns {{ label: string, value: string | ((now: number) => string), isBad?: boolean, title?: string }[]} what is known, in the order to show
 */
export const listFigures = (connection) => {
  const { at_risk, done, failed, last_success, median_duration, rate_limited, waiting } = connection;
  const { rate_limited_since: since, rate_limited_until: until } = connection;
  const figures = [
    { label: "waiting", value: String(waiting) },
    { isBad: at_risk > 0, label: "at risk", value: String(at_risk) },
  ];
  if (failed + done > 0) {
    figures.push({ isBad: failed > 0, label: "failed", value: `${failed} of ${failed + done}` });
  }
  return [
    ...figures,
    ...(since === null || until === null
      ? []
      : [
          {
            isBad: true,
            label: "",
            // The text tells the end: that of a period that goes on is no moment.
            title: `Polls answered 429, the first one at ${formatMoment(since)}`,
            value: (/** @type {number} */ now) => describeRateLimits(rate_limited, since, until, now),
          },
        ]),
    ...(median_duration === null
      ? []
      : [
          {
            label: "median",
            title: "Median of the latest 100 successes",
            value: formatDuration(median_duration * 1000),
          },
        ]),
    ...(last_success === null
      ? []
      : [
          {
            label: "since success",
            title: formatMoment(last_success),
            value: (/** @type {number} */ now) =>
              now - new Date(last_success).getTime() < 60_000 ? "< 1 min" : formatSince(last_success, now),
          },
        ]),
  ];
};

/** Maximum number of connections that have a card before the user asks for all. */
const MAX_CARDS = 12;

/**
 * Show how the jobs of a connection are doing.
 *
 * @param {{ connection: ConnectionOverview, isSelected: boolean, onSelect: (connId: string) => void }} props - the
 *   connection, and whether its jobs alone are listed
 * @returns {ReactElement} a button that lists its jobs alone
 */
const Card = ({ connection, isSelected, onSelect }) =>
  h(
    Button,
    {
      "aria-pressed": isSelected,
      alignItems: "flex-start",
      borderColor: isSelected ? "border.info" : undefined,
      disabled: connection.conn_id === null,
      flexDirection: "column",
      fontWeight: "normal",
      gap: 0,
      h: "auto",
      justifyContent: "flex-start",
      maxW: "full",
      onClick: () => onSelect(isSelected ? "" : (connection.conn_id ?? "")),
      px: 3,
      py: 1,
      size: "sm",
      textAlign: "start",
      variant: "outline",
      w: "18rem",
      whiteSpace: "normal",
    },
    h(
      Text,
      { as: "span", fontWeight: "bold", maxW: "full", overflowWrap: "anywhere" },
      connection.conn_id ?? "unreadable",
    ),
    h(
      Flex,
      { as: "span", columnGap: 3, wrap: "wrap" },
      listFigures(connection).map(({ isBad, label, title, value }) =>
        h(
          Box,
          { as: "span", color: isBad ? "red.fg" : "fg.muted", key: label, title, whiteSpace: "nowrap" },
          typeof value === "string" ? value : h(Ticking, { write: value }),
          label && ` ${label}`,
        ),
      ),
    ),
  );

/**
 * Divide connections into those that have a card, and those that fold into one line.
 *
 * @param {ConnectionOverview[]} connections - those with jobs at risk first, as the server lists them
 * @param {string} selected - the connection whose jobs are listed, or nothing
 * @returns {[ConnectionOverview[], ConnectionOverview[]]} both by name, so that a card stays at its place
 */
export const divideConnections = (connections, selected) => {
  const busy = connections.filter(({ at_risk, waiting }) => waiting > 0 || at_risk > 0).slice(0, MAX_CARDS);
  const shown = connections.filter((each) => busy.includes(each) || (selected !== "" && each.conn_id === selected));
  const byName = (/** @type {ConnectionOverview} */ one, /** @type {ConnectionOverview} */ other) =>
    (one.conn_id ?? "").localeCompare(other.conn_id ?? "");
  return [shown.sort(byName), connections.filter((each) => !shown.includes(each)).sort(byName)];
};

/**
 * Show the connections; those without waiting jobs only if the user asks for them.
 *
 * @param {{ connections: ConnectionOverview[], onSelect: (connId: string) => void, selected: string }} props - the
 *   connection whose jobs are listed, or nothing
 * @returns {ReactElement | null} nothing without connections
 */
export const Overview = ({ connections, onSelect, selected }) => {
  const [isOpen, setIsOpen] = useState(false);
  const [shown, more] = divideConnections(connections, selected);
  const number = more.length === 1 ? "1 more connection" : `${more.length} more connections`;
  /** @type {(connection: ConnectionOverview) => ReactElement} */
  const showCard = (connection) =>
    h(Card, {
      connection,
      isSelected: selected !== "" && selected === connection.conn_id,
      key: connection.conn_id ?? "",
      onSelect,
    });
  return connections.length === 0
    ? null
    : h(
        Flex,
        { "aria-label": "Connections", gap: 2, role: "group", wrap: "wrap" },
        shown.map(showCard),
        more.length === 0
          ? null
          : h(
              Fragment,
              null,
              h(
                Button,
                {
                  "aria-expanded": isOpen,
                  onClick: () => setIsOpen(!isOpen),
                  size: "sm",
                  variant: "ghost",
                  w: "full",
                  justifyContent: "flex-start",
                },
                `${isOpen ? "▾" : "▸"} ${number}${more.some(({ waiting }) => waiting > 0) ? "" : " without waiting jobs"}`,
              ),
              isOpen ? more.map(showCard) : null,
            ),
      );
};
