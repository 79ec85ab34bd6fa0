/**
 * What the modules of this folder share: the records of fal_jupyter/protocol/feed.py (same names, same fields: a test
 * compares both), the store that keeps them, and the host that a panel lives in.
 *
 * Rules of this folder: plain ESM, no dependency, no build. Text of users reaches the page through text nodes only.
 * Names at the top level of a module are unique in the folder, imports name modules of this folder only
 * (`import { a, b } from "../elements/dom.mjs"`), and nothing but `export const|let|function|class|async function` and
 * `export default` is exported, so that widgets/bundle.py can join the modules to the one file that anywidget wants.
 */

// --- records (protocol/feed.py, protocol/api.py) ---------------------------------------------------------------------
export interface GatewayState {
  pid: number;
  started: number;
  version: string;
  owner: string;
  base: string;
}
export interface OptionRule {
  name: string;
  low: number;
  high: number | null;
  default: number;
  unit: string;
}
export interface RunnerState {
  id: string;
  pid: number;
  state: string;
  since: number;
  devices: string[];
  served: number;
  in_flight: number;
  revision: number;
  memory: number;
  shared?: number;
  setup_ms: number;
}
export interface Waiting {
  id: string;
  path: string;
  since: number;
}
export interface Stats {
  calls: number;
  failed: number;
  cancelled: number;
  cold: number;
  cold_starts: number;
  rate: number;
  sample: number;
  p50_ms: number;
  p95_ms: number;
  max_ms: number;
  spark: number[];
  spark_time: number;
}
export interface EndpointStats {
  path: string;
  calls: number;
  failed: number;
  cancelled: number;
  sample: number;
  p50_ms: number;
  p95_ms: number;
  max_ms: number;
  spark: number[];
}
/** `yields`: a generator, whose answer is a line of JSON for each value. */
export interface EndpointState {
  name: string;
  path: string;
  signature: string;
  doc: string;
  protocol: string;
  yields?: boolean;
}
export interface ErrorFrame {
  filename: string;
  lineno: number;
  function: string;
  line: string;
}
export interface ErrorDescription {
  type: string;
  message: string;
  text: string;
  frames: ErrorFrame[];
  phase: string;
}
export interface Failure {
  time: number;
  revision: number;
  text: string;
  error: ErrorDescription | null;
  retry_at: number;
}
export interface AppState {
  app: string;
  alias: string;
  class_name: string;
  state: string;
  owner_kind: string;
  owner_name: string;
  owner_pid: number;
  owner_memory?: number;
  owner_shared?: number;
  auth: string;
  machine: string;
  url: string;
  revision: number;
  serving: number;
  code_since: number;
  verdict: string;
  verdict_reason: string;
  endpoints: EndpointState[];
  sockets: EndpointState[];
  about: string;
  scaling: Record<string, number>;
  by_class: Record<string, number>;
  overrides: Record<string, number>;
  reason: string;
  setup_ms: number;
  unloaded: boolean;
  runners: RunnerState[];
  queue: Waiting[];
  waiting: number;
  in_flight: number;
  stats: Stats;
  by_endpoint: EndpointStats[];
  log: number;
  failure: Failure | null;
  taken_from?: number[];
}
export interface DeviceState {
  id: string;
  index: number;
  name: string;
  memory: number;
  used: number;
  busy: number;
  holder: string;
  alias: string;
  runner: string;
}
export interface HostState {
  memory: number;
  used: number;
  cores: number;
  busy: number;
}
export interface RequestState {
  id: string;
  alias: string;
  method: string;
  path: string;
  state: string;
  origin: string;
  cell: string;
  cell_number: number;
  began: number;
  status: number;
  queue_ms: number;
  start_ms: number;
  transfer_ms: number;
  run_ms: number;
  stream_ms: number;
  total_ms: number;
  revision: number;
  runner: string;
  cold: boolean;
  bytes_in: number;
  bytes_out: number;
  content_type: string;
  error: string;
}
export interface Decision {
  time: number;
  kind: string;
  before: number;
  after: number;
  seen: string;
  reason: string;
}
export interface Lane {
  id: string;
  devices: string[];
  revision: number;
  moves: [number, string][];
}
export interface Timeline {
  points: number[][];
  decisions: Decision[];
  lanes: Lane[];
  usage: number[][];
  older_runners?: number;
}
export interface FeedLine {
  kind: string;
  time: number;
  seq: number;
  reason: string;
  gateway: GatewayState;
  options: OptionRule[];
  apps: AppState[];
  devices: DeviceState[];
  host: HostState;
  requests: RequestState[];
  skipped: number;
  timelines: Record<string, Timeline>;
}
export interface LogRecord {
  time: number;
  runner: string;
  request: string;
  stream: number;
  text: string;
}
export interface LeftOut {
  text: string;
  size: number;
}
export interface Body {
  content_type: string;
  size: number;
  text: string;
  base64: string;
  truncated: boolean;
  left_out?: LeftOut[];
  whole?: boolean;
}
export interface Display {
  content_type: string;
  base64: string;
  text: string;
}
export interface RequestDetail {
  request: RequestState;
  query: string;
  input: Body | null;
  output: Body | null;
  error: ErrorDescription | null;
  logs: LogRecord[];
  displays: Display[];
  buffered: boolean;
}
export interface KeyRecord {
  id: string;
  holder: string;
  created: number;
}
export interface SavedOutput {
  id: string;
  path: string;
  began: number;
  total_ms: number;
  revision: number;
  input: string;
  seed: string;
  pictures: Display[];
  others: string[];
}
/** `logs`, `outputs` and `last` are missing in notebooks that were saved before there was any, `output_count` where not all were counted; `answers`
 *  and `newest` are for the kernel only. */
export interface Picture {
  time: number;
  app: AppState;
  requests: RequestState[];
  timeline: Timeline;
  logs: LogRecord[];
  outputs: SavedOutput[];
  last: RequestDetail | null;
  answers?: string[];
  newest?: string;
  output_count?: number;
}
export interface Build {
  passed: number;
  took: number;
  lines: string[];
  error: string;
}
/** What "Write to cell" made of the cell since its run: the hash of its text, and the values in it by their names. */
export interface WrittenCell {
  source: string;
  values: Record<string, number>;
}

export interface CardData {
  version: number;
  panel: string;
  tab: string;
  /** the tab that was in front when the notebook was saved */
  front?: string;
  alias: string;
  app: string;
  class_name: string;
  revision: number;
  cell: string;
  source: string;
  written?: WrittenCell;
  prints: number;
  fields: number;
  captures: string[];
  build: Build | null;
  gateway: GatewayState;
  options: OptionRule[];
  picture: Picture | null;
}

/**
 * An app as a panel knows it: `gone` marks the last known state of one that the gateway no longer has (kept_host.mjs).
 */
/** `ended_by`: what took it away, its kernel or program where it is left out; `requests`: its last ones, newest first. */
export type KnownApp = AppState & {
  gone?: boolean;
  ended?: number;
  ended_by?: "gateway";
  requests?: RequestState[];
};

// --- the store (store.mjs) -------------------------------------------------------------------------------------------
/** What a panel draws. `link`: "live"; "connecting" (nothing came yet); "off" (no gateway runs); "lost" (the server or the
 *  kernel does not answer: what is shown ends at `time`); "saved" (a picture from a saved notebook, nothing is asked). */
export interface View {
  link: "live" | "connecting" | "off" | "lost" | "saved";
  reason: string;
  time: number;
  /** what the gateway's clock is ahead of this page's, in ms */
  skew: number;
  gateway: GatewayState | null;
  options: OptionRule[];
  apps: AppState[];
  /** apps that ended while this page followed the feed, newest first */
  ended: KnownApp[];
  devices: DeviceState[];
  host: HostState | null;
  /** of the apps that are served, newest first, at most 300 an app */
  requests: RequestState[];
  timelines: Map<string, Timeline>;
  /** the number of each app's colour */
  colours: Map<string, number>;
}
export interface Store {
  readonly view: View;
  /** Take one line of the feed in. */
  apply(line: Partial<FeedLine>): void;
  /** The link to the feed changed by itself. */
  lose(link: "lost" | "connecting" | "off", reason: string): void;
  /** Call `listener` after each change, until the given function is called. */
  watch(listener: (view: View) => void): () => void;
}

// --- the host (host.mjs; labextension/src/host.ts) -------------------------------------------------------------------
export interface Asked {
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string | Uint8Array | Blob;
  signal?: AbortSignal;
}
export interface Answered {
  status: number;
  headers: { get(name: string): string | null };
  bytes(): Promise<Uint8Array>;
  text(): Promise<string>;
  json(): Promise<any>;
  /** the body as it comes */
  chunks(): AsyncIterable<Uint8Array>;
}
/** Where a panel lives: in JupyterLab or Notebook 7 the server's `fal/api/…`, elsewhere the kernel's comm. The paths are
 *  those of protocol/api.py without `/admin/`: `apps/hello/scaling`, `requests/ID/answer`. */
export interface Host {
  readonly kind: "server" | "kernel" | "saved";
  readonly store: Store;
  /** What was saved with the notebook, where `kind` is "saved". */
  readonly picture?: Picture | null;
  /** Ask the gateway. Never throws for a status; throws an Error with one sentence if no answer comes. */
  ask(method: "GET" | "POST" | "DELETE", path: string, asked?: Asked): Promise<Answered>;
  /** The address of an app's endpoints as a browser reaches it, or "" where there is none. */
  address(app: AppState): string;
  copy(text: string): Promise<void>;
  /** An address at which this page can load a file of the gateway's own CDN; null for every other address. */
  media?(address: string, signal: AbortSignal): string | Promise<string> | null;
  /** What only some hosts can do; a panel shows no button where it is missing. */
  /** Show the cell that made an app, or the cell of an id; false where no open notebook has it. */
  goToCell?(alias: string, cell?: string): boolean;
  /** Show what the cell that made an app says below it. */
  goToError?(alias: string): boolean;
  /** Whether the cell that the panel is an output of runs now. */
  cellRuns?(): boolean;
  /** The file name of the notebook that the panel is in, "" where it is not known. */
  notebookName?(): string;
  /** The text of the cell that the panel is an output of, "" where it is not known. */
  cellSource?(): string;
  /** The notebook whose app it is now, where that is not the panel's own; "" else. */
  otherOwner?(): string;
  /** Ask before a call or a change goes to the app of another notebook; true at once where it is the panel's own. */
  agrees?(): boolean | Promise<boolean>;
  /** Run the cell that made an app; one sentence where no open notebook has it. */
  runCell?(alias: string): void;
  /** Put the cursor at a line of the cell that made an app, or of the cell that has `text` there. */
  goToLine?(alias: string, line: number, text: string): void;
  /** Write options into the class in its cell; an Error with one sentence where that cannot be done. */
  writeToCell?(alias: string, className: string, values: Record<string, number>): Promise<void>;
  openDashboard?(requestId?: string): void;
  openLogs?(alias: string, runner?: string): void;
  insertCell?(source: string): void;
  /** The pointer drags a cell of this text from here on; a notebook takes it where it is dropped. */
  dragCell?(source: string, label: string, x: number, y: number): void;
  confirm?(title: string, text: string, button: string): Promise<boolean>;
}

// --- panels ----------------------------------------------------------------------------------------------------------
/** A panel draws itself into `root`, redraws on changes of the store while it is seen, and leaves nothing behind when
 *  `signal` aborts. */
export type Panel<Options> = (root: HTMLElement, host: Host, options: Options, signal: AbortSignal) => void;
