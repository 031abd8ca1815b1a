// For people who serve with Mooring.
export type { SessionView } from "./admin/target.ts";
export { createNode } from "./create-node.ts";
export type { Settings } from "./model/settings.ts";
export { SettingsError } from "./model/settings-error.ts";
export type { MooringNode, NodeOptions } from "./mooring-node.ts";
export { NameTakenError } from "./node/name-taken.ts";
// For people who write adapters.
export type { Clock } from "./ports/clock.ts";
export type { Log, LogEvent, LogFields } from "./ports/log.ts";
export {
  type Joining,
  type LeaseRenewal,
  type NodeRecord,
  type Principal,
  type Registry,
  RegistryError,
  type RegistryErrorCode,
  type SessionRecord,
} from "./ports/registry.ts";
export {
  type AppContext,
  type AppHandler,
  type Authenticate,
  type AuthRequest,
  defineServer,
  type ServerContext,
  type ServerDefinition,
  type ServerFactory,
  type ServerOptions,
} from "./session/define-server.ts";
export type {
  SessionContext,
  StateCell,
  StateOptions,
  TaskContext,
  TaskHandle,
  TaskOptions,
  TaskRun,
} from "./session/session-context.ts";
export { StateError, type StateErrorCode } from "./session/state-error.ts";
export { type StopReason, TaskStopped } from "./session/task-stopped.ts";
export type { McpServerLike } from "./session/transport-types.ts";
