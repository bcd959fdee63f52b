/**
 * The entry of the page "Async API jobs", which Airflow's UI imports as a module.
 *
 * The browser runs this folder as it is, without a build step. React renders all values from an API as text.
 */

import { JobsPage, NAME } from "./page.js";

// Airflow looks for the component by either name, and by the first one on its next page.
Object.assign(globalThis, { AirflowPlugin: JobsPage, [NAME]: JobsPage });
