/** Requests to this provider's application in Airflow's API server. */

import { startTransition, useEffect, useState } from "./airflow.js";
import { setClock } from "./clock.js";

/** Pause between two requests for the same. */
const REFRESH_SECONDS = 5;

/** @typedef {import("./types.d.ts").Jobs} Jobs */

/**
 * Return the URL of a path of the application, below the base path of Airflow's page.
 *
 * @param {string} path - such as `jobs`
 * @param {string} [query] - without the question mark
 * @returns {URL} the absolute URL
 */
export const urlOf = (path, query = "") => new URL(`asyncapi/${path}${query && `?${query}`}`, document.baseURI);

/** A response other than 2xx; its message is for people. */
export class ServerError extends Error {
  /**
   * @param {string} message - what to show
   * @param {number} status - the status code
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * Request JSON.
 *
 * @param {URL} url - a URL of the application
 * @param {RequestInit} [options] - options of `fetch`
 * @returns {Promise<unknown>} the parsed body
 * @throws {ServerError} if the server refuses the request
 * @throws {Error} if the server can't be reached
 */
export const requestJson = async (url, options = {}) => {
  const response = await fetch(url, { ...options, headers: { Accept: "application/json", ...options.headers } });
  if (response.status === 401) {
    throw new ServerError("You are no longer logged in. Load the page again to log in.", 401);
  }
  if (!response.ok) {
    const { detail } = await response.json().catch(() => ({}));
    const message = typeof detail === "string" ? detail : `Airflow's API server answered ${response.status}.`;
    throw new ServerError(message, response.status);
  }
  return response.json().catch((error) => {
    // A proxy, such as one that shows a page to log in, may have answered instead; a request may also be aborted here.
    throw error instanceof SyntaxError ? new ServerError("The answer isn't JSON. Load the page again.", 200) : error;
  });
};

/**
 * Find out whether an answer has the server's time, as all that the page loads again and again.
 *
 * @param {unknown} data - any JSON: a proxy may have answered instead
 * @returns {data is { now: string }} whether it has
 */
const hasTime = (data) =>
  typeof data === "object" &&
  data !== null &&
  "now" in data &&
  typeof data.now === "string" &&
  !Number.isNaN(Date.parse(data.now));

/**
 * Load what a URL answers, and load it again every few seconds while the page is visible.
 *
 * @template {{ now: string }} T
 * @param {string} url - an absolute URL; the answer is stale from the moment it changes until the next answer
 * @param {number} [refreshSeconds] - seconds between two requests
 * @returns {{ data: T | undefined, error: string | undefined, isMissing: boolean, isStale: boolean }} the latest answer;
 *   `isMissing` is whether the server has answered 404
 */
export const useAnswer = (url, refreshSeconds = REFRESH_SECONDS) => {
  const [answer, setAnswer] = useState(
    /** @type {{ data?: T, error?: string, isMissing?: boolean, url?: string }} */ ({}),
  );

  useEffect(() => {
    const abort = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let turn = 0;
    const load = async () => {
      // Only the latest turn continues: a page that becomes visible while it loads would otherwise load twice as often.
      turn += 1;
      const own = turn;
      clearTimeout(timer);
      if (document.visibilityState === "visible") {
        try {
          const data = await requestJson(new URL(url), { signal: abort.signal });
          if (abort.signal.aborted || own !== turn) {
            return;
          }
          if (!hasTime(data)) {
            throw new ServerError("The answer isn't one of this page's server. Load the page again.", 200);
          }
          setClock(data.now);
          // The browser reacts to the user while React renders what has changed.
          startTransition(() => setAnswer({ data: /** @type {T} */ (data), url }));
        } catch (error) {
          if (abort.signal.aborted || own !== turn) {
            return;
          }
          // What has been loaded stays on the page if the server is unavailable for a moment.
          setAnswer((before) => ({
            ...before,
            error: error instanceof Error ? error.message : String(error),
            isMissing: error instanceof ServerError && error.status === 404,
          }));
        }
      }
      if (!abort.signal.aborted && own === turn) {
        timer = setTimeout(load, refreshSeconds * 1000);
      }
    };
    const wake = () => {
      if (document.visibilityState === "visible") {
        load();
      }
    };
    load();
    document.addEventListener("visibilitychange", wake);
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", wake);
    };
  }, [refreshSeconds, url]);

  const { data, error, isMissing = false } = answer;
  return { data, error, isMissing, isStale: answer.url !== url };
};
