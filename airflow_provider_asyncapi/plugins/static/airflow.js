/**
 * The libraries of Airflow's own page.
 *
 * React, the router and Chakra UI are those that Airflow's UI has loaded, so colours, fonts, dark mode and navigation
 * are Airflow's too. Other modules import them from here, which is the one place that knows how Airflow passes them on.
 */

export const {
  createElement: h,
  createContext,
  Fragment,
  memo,
  startTransition,
  useCallback,
  useContext,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} = globalThis.React;
export const { Link: RouterLink, useSearchParams } = globalThis.ReactRouterDOM;
export const {
  Alert,
  Badge,
  Code,
  Box,
  Button,
  Checkbox,
  Dialog,
  Flex,
  Heading,
  HStack,
  IconButton,
  Input,
  Link,
  Menu,
  NativeSelect,
  Portal,
  Progress,
  Spinner,
  Table,
  Text,
} = globalThis.ChakraUI;
