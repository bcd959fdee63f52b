/** What cells of tables are made of. */

import { Badge, Box, Button, h, HStack, Progress, Text, useState } from "./airflow.js";
import { Ticking } from "./clock.js";
import { formatMoment, formatShortMoment, formatSince } from "./format.js";

/** @typedef {import("react").ReactElement} ReactElement */

/**
 * Wrap text of any length at the width of its column.
 *
 * @param {import("@chakra-ui/react").BoxProps} props - those of Chakra UI's box
 * @returns {ReactElement} a box
 */
export const Wrapped = ({ children, ...props }) =>
  h(Box, { maxW: "14rem", overflowWrap: "break-word", whiteSpace: "normal", ...props }, children);

/**
 * Show a progress.
 *
 * @param {{ label: string, value: number | null }} props - a name for screen readers; from 0 to 1, null if unknown
 * @returns {ReactElement} a bar with its percentage
 */
export const ProgressBar = ({ label, value }) =>
  value === null
    ? h(Text, { color: "fg.muted" }, "–")
    : h(
        Progress.Root,
        { colorPalette: "brand", max: 1, minW: "5.5rem", size: "sm", value },
        h(
          HStack,
          { gap: 2 },
          h(Progress.Track, { "aria-label": label, flex: 1 }, h(Progress.Range)),
          h(Text, { fontVariantNumeric: "tabular-nums", minW: "3ch", textAlign: "end" }, `${Math.floor(value * 100)}%`),
        ),
      );

/**
 * Show long text, cut to five lines until it is pressed.
 *
 * @param {import("@chakra-ui/react").ButtonProps & { text: string }} props - the text, and those of Chakra UI's button
 * @returns {ReactElement} a button
 */
export const Folded = ({ text, ...props }) => {
  const [isOpen, setIsOpen] = useState(false);
  return h(
    Button,
    {
      "aria-expanded": isOpen,
      borderWidth: 0,
      display: "block",
      fontWeight: "normal",
      h: "auto",
      minW: "9rem",
      onClick: () => setIsOpen(!isOpen),
      p: 0,
      textAlign: "start",
      title: isOpen ? undefined : text,
      variant: "plain",
      whiteSpace: "normal",
      ...props,
    },
    h(
      Text,
      { as: "span", fontSize: "sm", lineClamp: isOpen ? undefined : 5, overflowWrap: "break-word" },
      wrapText(text),
    ),
  );
};

/** Number of characters that a narrow column has room for. */
const LONGEST_PART = 30;
const LONG_WORD = new RegExp(`(\\S{${LONGEST_PART + 1},})`);

/**
 * Allow a name to be wrapped after its punctuation, rather than within a word; a word that no column can hold is broken.
 *
 * @param {string} name - such as a run's id
 * @returns {import("react").ReactNode[]} its parts
 */
export const wrapName = (name) =>
  name
    .split(/(?<=[._\-/:+])/)
    .flatMap((part, index) => [
      index === 0 ? null : h("wbr", { key: `before ${index}` }),
      part.length > LONGEST_PART ? h(Box, { as: "span", key: index, overflowWrap: "anywhere" }, part) : part,
    ]);

/**
 * Allow the long words of a text to be wrapped, such as a URL, so that no text needs more room than its column has.
 *
 * @param {string} text - such as an error message
 * @returns {import("react").ReactNode[]} its parts
 */
export const wrapText = (text) =>
  text
    .split(LONG_WORD)
    .map((part, index) =>
      part.length > LONGEST_PART && !/\s/.test(part) ? h("span", { key: index }, wrapName(part)) : part,
    );

/**
 * Show the state of a task as Airflow does.
 *
 * @param {{ state: string | null }} props - null if the task was cleared
 * @returns {ReactElement} a badge
 */
export const StateBadge = ({ state }) =>
  h(
    Badge,
    {
      borderRadius: "full",
      color: state === null ? undefined : `${state}.contrast`,
      colorPalette: state ?? "none",
      fontSize: "sm",
      px: 2,
      py: 1,
      textTransform: "capitalize",
      variant: "solid",
      whiteSpace: "nowrap",
    },
    state?.replaceAll("_", " ") ?? "no status",
  );

/** @type {Record<import("./types.d.ts").Level, { label: string, palette: string }>} */
const LEVELS = {
  ok: { label: "ok", palette: "green" },
  warning: { label: "at risk", palette: "orange" },
  critical: { label: "critical", palette: "red" },
};

/**
 * Show that somebody should look at a job.
 *
 * @param {{ level: import("./types.d.ts").Level }} props - the level of its health
 * @returns {ReactElement | null} a badge; nothing if all is well
 */
export const HealthBadge = ({ level }) =>
  level === "ok"
    ? null
    : h(
        Badge,
        { colorPalette: LEVELS[level].palette, mt: 1, variant: "subtle", whiteSpace: "nowrap" },
        LEVELS[level].label,
      );

/**
 * Show since when something is so, and for how long.
 *
 * @param {{ moment: string }} props - ISO 8601
 * @returns {ReactElement} the time of day, or the date too if it isn't today
 */
const Since = ({ moment }) =>
  h(
    "time",
    { dateTime: moment, title: formatMoment(moment) },
    h(Ticking, {
      write: (now) => ` since ${formatShortMoment(moment, now)} (for ${formatSince(moment, now)})`,
    }),
  );

/**
 * Show why somebody should look at a job.
 *
 * @param {{ health: import("./types.d.ts").Job["health"] }} props - its health
 * @returns {ReactElement | null} a list; nothing if all is well
 */
export const Reasons = ({ health: { level, reasons } }) =>
  reasons.length === 0
    ? null
    : h(
        Box,
        { as: "ul", color: level === "critical" ? "red.fg" : "orange.fg", fontSize: "sm", listStyle: "none" },
        reasons.map(({ code, message, since }) =>
          h("li", { key: code }, wrapText(message), since === null ? null : h(Since, { moment: since })),
        ),
      );

/**
 * Find out whether the reasons why somebody should look at a job contain its error.
 *
 * @param {string} error - the error
 * @param {import("./types.d.ts").Job["health"]} health - the health of the job
 * @returns {boolean} whether the error needn't be shown again
 */
export const isAmongReasons = (error, { reasons }) => reasons.some(({ message }) => message.includes(error));

/**
 * Show a moment in the user's zone and Airflow's format.
 *
 * @param {{ moment: string | null }} props - ISO 8601
 * @returns {ReactElement | null} a time, with UTC in its title; nothing without a moment
 */
export const Moment = ({ moment }) =>
  moment === null
    ? null
    : h("time", { dateTime: moment, title: `${formatMoment(moment, "UTC")} UTC` }, formatMoment(moment));
