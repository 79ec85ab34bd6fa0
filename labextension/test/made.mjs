/** Records as the feed has them, for tests of the front end. */
import { createStore } from "../../fal_jupyter/widgets/static/connection/store.mjs";

export const HOSTILE = '<img src=x onerror="window.hit = 1">\u0007\u001b[31m';
export const RULES = [
  ["min_concurrency", 0, null, 0, ""],
  ["max_concurrency", 1, null, 10, ""],
  ["keep_alive", 0, null, 10, "s"],
  ["termination_grace_period_seconds", 0, 30, 5, "s"],
].map(([name, low, high, fallback, unit]) => ({ name, low, high, default: fallback, unit }));

export function madeRunner(id, state = "IDLE", more = {}) {
  return {
    id,
    pid: 7,
    state,
    since: 0,
    devices: [],
    served: 1,
    in_flight: 0,
    revision: 1,
    memory: 1e9,
    setup_ms: 20,
    ...more,
  };
}

export function madeApp(alias, more = {}) {
  const scaling = Object.fromEntries(RULES.map((one) => [one.name, one.default]));
  const stats = {
    calls: 0,
    failed: 0,
    cancelled: 0,
    cold: 0,
    cold_starts: 0,
    rate: 0,
    sample: 0,
    p50_ms: 0,
    p95_ms: 0,
    max_ms: 0,
    spark: Array(60).fill(0),
    spark_time: 0,
  };
  return {
    app: `me/${alias}`,
    alias,
    class_name: "Made",
    state: "Ready",
    owner_kind: "kernel",
    owner_name: "made.ipynb",
    owner_pid: 1,
    auth: "private",
    machine: "XS",
    url: "",
    revision: 1,
    serving: 1,
    code_since: more.serving ?? 1,
    verdict: "new",
    verdict_reason: "",
    endpoints: [],
    sockets: [],
    about: "",
    scaling,
    by_class: scaling,
    overrides: {},
    reason: "",
    setup_ms: 20,
    unloaded: false,
    runners: [],
    queue: [],
    waiting: 0,
    in_flight: 0,
    stats,
    by_endpoint: [],
    log: 0,
    failure: null,
    ...more,
  };
}

export function madeRequest(id, more = {}) {
  return {
    id,
    alias: "hello",
    method: "POST",
    path: "/",
    state: "done",
    origin: "cell",
    cell: "",
    cell_number: 0,
    began: 1000,
    status: 200,
    queue_ms: 10,
    start_ms: 0,
    transfer_ms: 1,
    run_ms: 30,
    stream_ms: 4,
    total_ms: 45,
    revision: 1,
    runner: "hello-1",
    cold: false,
    bytes_in: 2,
    bytes_out: 2,
    content_type: "application/json",
    error: "",
    ...more,
  };
}

export function madeLine(more = {}) {
  return {
    kind: "snapshot",
    time: 60000,
    seq: 1,
    gateway: { pid: 1, started: 1, version: "0", owner: "me", base: "" },
    options: RULES,
    apps: [madeApp("hello")],
    devices: [],
    host: { memory: 16e9, used: 4e9, cores: 4, busy: 10 },
    requests: [],
    timelines: {},
    ...more,
  };
}

/** A host whose gateway answers with `answer(method, path, body)`; what was asked is kept. */
export function madeHost(line, answer = () => ({})) {
  const store = createStore();
  if (line) store.apply(line);
  const asked = [];
  return {
    kind: "server",
    store,
    asked,
    copied: [],
    async ask(method, path, options = {}) {
      asked.push([method, path, options.body]);
      const { status = 200, ...value } = answer(method, path, options.body) ?? {};
      return { status, json: async () => value, text: async () => JSON.stringify(value) };
    },
    address: () => "http://127.0.0.1/x",
    async copy(text) {
      this.copied.push(text);
    },
  };
}

/** Wait until `look` gives something; fails after two seconds. */
export async function until(look) {
  const end = Date.now() + 2000;
  for (;;) {
    const found = look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`never came: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The data of a card of the app `me/hello`, as a notebook has it before its first picture. */
export const CARD = {
  version: 1,
  panel: "card",
  tab: "try",
  alias: "hello",
  app: "me/hello",
  class_name: "Hello",
  revision: 1,
  cell: "cell [2]",
  source: "",
  prints: 0,
  gateway: null,
  options: [],
  picture: null,
};
