/**
 * A document as Airflow's UI has it, with the libraries that the UI defines for plugins. `--import` it before tests.
 */

// @ts-expect-error -- it has no types
import { JSDOM } from "jsdom";

const { window } = new JSDOM('<!doctype html><html lang="en"><head><base href="/team/"></head><body></body></html>', {
  pretendToBeVisual: true,
  url: "http://airflow.test/team/plugin/async-api-jobs",
});
for (const name of Object.getOwnPropertyNames(window)) {
  if (!(name in globalThis)) {
    Object.defineProperty(globalThis, name, { configurable: true, value: Reflect.get(window, name), writable: true });
  }
}
// Node has others of these, which a document doesn't take.
for (const name of /** @type {const} */ ([
  "Event",
  "EventTarget",
  "CustomEvent",
  "navigator",
  "window",
  "localStorage",
])) {
  Object.defineProperty(globalThis, name, { configurable: true, value: window[name], writable: true });
}
window.matchMedia ??= (/** @type {string} */ query) =>
  /** @type {MediaQueryList} */ ({
    matches: false,
    media: query,
    onchange: null,
    addListener: () => {},
    removeListener: () => {},
    addEventListener: () => {},
    removeEventListener: () => {},
    dispatchEvent: () => false,
  });
// A document without a layout has no sizes that change.
globalThis.ResizeObserver ??= class {
  disconnect() {}
  observe() {}
  unobserve() {}
};
Object.assign(globalThis, {
  IS_REACT_ACT_ENVIRONMENT: true,
  React: await import("react"),
  ReactRouterDOM: await import("react-router-dom"),
  ChakraUI: await import("@chakra-ui/react"),
});
