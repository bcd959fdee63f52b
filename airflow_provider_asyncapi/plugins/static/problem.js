/** Messages about what went wrong. */

import { Alert, h } from "./airflow.js";

/**
 * Show an error.
 *
 * @param {{ message: string }} props - for people
 * @returns {import("react").ReactElement} an alert, which screen readers announce
 */
export const Problem = ({ message }) =>
  h(
    Alert.Root,
    { role: "alert", status: "error" },
    h(Alert.Indicator),
    h(Alert.Content, null, h(Alert.Description, null, message)),
  );
