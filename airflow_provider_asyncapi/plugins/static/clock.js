/**
 * The server's clock, and texts that tell how long something has taken.
 *
 * One timer ticks for all of these texts. A text is rendered again only if it has changed, and nothing around it is.
 */

import { useSyncExternalStore } from "./airflow.js";

const TICK = 1000;

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;
/** Milliseconds from the browser's clock, which may be wrong, to the server's. */
let offset = 0;
let now = Date.now();

/**
 * Set the clock to the server's.
 *
 * @param {string} moment - the server's current time, ISO 8601
 * @returns {void} nothing
 */
export const setClock = (moment) => {
  offset = new Date(moment).getTime() - Date.now();
};

/**
 * Return the server's current time as of the last tick: all texts agree on it.
 *
 * @returns {number} milliseconds since the epoch
 */
const readClock = () => {
  if (timer === undefined) {
    now = Date.now();
  }
  return now + offset;
};

/**
 * Call a function at each tick.
 *
 * @param {() => void} listener - the function
 * @returns {() => void} what ends it
 */
const subscribe = (listener) => {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    listeners.forEach((each) => each());
  }, TICK);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
};

/**
 * Show a text that depends on the time.
 *
 * @param {{ write: (now: number) => string }} props - what writes the text, at a time in milliseconds since the epoch
 * @returns {string} the text
 */
export const Ticking = ({ write }) => useSyncExternalStore(subscribe, () => write(readClock()));
