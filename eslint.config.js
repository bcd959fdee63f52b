/** Rules for the modules of the page and their tests; types are checked by tsc, and the format by prettier. */

import js from "@eslint/js";
import jsdoc from "eslint-plugin-jsdoc";
import reactHooks from "eslint-plugin-react-hooks";
import globals from "globals";

export default [
  { ignores: [".*/", "docs/", "reports/", "build/"] },
  js.configs.recommended,
  jsdoc.configs["flat/recommended-typescript-flavor-error"],
  {
    files: ["**/*.js"],
    linterOptions: { reportUnusedDisableDirectives: "error" },
    plugins: { "react-hooks": reactHooks },
    rules: {
      ...reactHooks.configs.recommended.rules,
      // These calls of createElement with a ref in an event handler are taken for reads while rendering.
      "react-hooks/refs": "off",
      curly: "error",
      eqeqeq: "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "jsdoc/require-jsdoc": ["error", { publicOnly: true, require: { ArrowFunctionExpression: true } }],
      "jsdoc/tag-lines": ["error", "any", { startLines: 1 }],
    },
  },
  { files: ["airflow_provider_asyncapi/**/*.js"], languageOptions: { globals: globals.browser } },
  {
    files: ["tests/**/*.js"],
    languageOptions: { globals: { ...globals.browser, ...globals.node } },
    rules: { "jsdoc/require-jsdoc": "off" },
  },
];
