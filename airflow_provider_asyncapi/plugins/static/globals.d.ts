/** What Airflow's UI defines for plugins, and what it expects them to define. */

declare global {
  var React: typeof import("react");
  var ReactRouterDOM: typeof import("react-router-dom");
  var ChakraUI: typeof import("@chakra-ui/react");
  var AirflowPlugin: import("react").ComponentType<import("./types.d.ts").PageProps>;
}

export {};
