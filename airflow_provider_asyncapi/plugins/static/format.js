/** How durations and times are written. */

/**
 * Write a duration in its two largest units.
 *
 * @param {number} milliseconds - a negative one counts as 0
 * @returns {string} such as `3 min 5 s`
 */
export const formatDuration = (milliseconds) => {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min ${seconds % 60} s`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
};

/**
 * Write a duration that goes on: in seconds only below a minute, so that a text that is read seldom changes.
 *
 * @param {number} milliseconds - a negative one counts as 0
 * @returns {string} such as `3 min`
 */
const formatOngoing = (milliseconds) =>
  formatDuration(milliseconds < 59_500 ? milliseconds : Math.floor((milliseconds + 500) / 60_000) * 60_000).replace(
    / 0 s$/,
    "",
  );

/**
 * Write the time until a moment.
 *
 * @param {string | null} moment - ISO 8601
 * @param {number} now - milliseconds since the epoch
 * @param {string} over - what to write once the moment has passed
 * @returns {string} empty without a moment
 */
export const formatUntil = (moment, now, over) => {
  if (moment === null) {
    return "";
  }
  const left = new Date(moment).getTime() - now;
  return left > 0 ? formatOngoing(left) : over;
};

/**
 * Write the time since a moment.
 *
 * @param {string | null} moment - ISO 8601
 * @param {number} now - milliseconds since the epoch
 * @returns {string} empty without a moment
 */
export const formatSince = (moment, now) => (moment === null ? "" : formatOngoing(now - new Date(moment).getTime()));

/**
 * The formats of time zones: to make one takes longer than to use it, and a list writes hundreds of moments.
 *
 * @type {Map<string, Intl.DateTimeFormat>}
 */
const formats = new Map();
const BROWSER_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/**
 * Return the format of moments in a time zone.
 *
 * @param {string} timeZone - its name
 * @returns {Intl.DateTimeFormat} the same one for the same zone
 * @throws {RangeError} if there is no such zone
 */
const findFormat = (timeZone) => {
  let format = formats.get(timeZone);
  if (format === undefined) {
    // Swedish writes dates and times by ISO 8601.
    format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone });
    formats.set(timeZone, format);
  }
  return format;
};

/**
 * Return the zone that the user has chosen in Airflow's UI, or else the browser's.
 *
 * @returns {string} such as `Europe/Berlin`
 */
export const readTimeZone = () => {
  try {
    const zone = JSON.parse(localStorage.getItem("timezone") ?? "");
    findFormat(zone);
    return zone;
  } catch {
    return BROWSER_ZONE;
  }
};

/**
 * Write a moment as Airflow's UI does.
 *
 * @param {string | null} moment - ISO 8601
 * @param {string} [timeZone] - by default the one that Airflow's UI shows
 * @returns {string | undefined} such as `2026-03-01 12:00:00`; nothing without a moment
 */
export const formatMoment = (moment, timeZone = readTimeZone()) => {
  if (moment === null) {
    return undefined;
  }
  return findFormat(timeZone).format(new Date(moment));
};

/**
 * Write a moment shortly: as the time of day if it is today.
 *
 * @param {string} moment - ISO 8601
 * @param {number} now - milliseconds since the epoch
 * @param {string} [timeZone] - by default the one that Airflow's UI shows
 * @returns {string} such as `14:05`, or `2026-03-01 12:00` on other days
 */
export const formatShortMoment = (moment, now, timeZone = readTimeZone()) => {
  const text = (formatMoment(moment, timeZone) ?? "").slice(0, -3);
  const today = (formatMoment(new Date(now).toISOString(), timeZone) ?? "").slice(0, 10);
  return text.startsWith(today) ? text.slice(11) : text;
};

/**
 * Write a number of bytes.
 *
 * @param {number} bytes - not negative
 * @returns {string} such as `1.5 MB`
 */
export const formatBytes = (bytes) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power]}`;
};
