// Checks of @fal-ai/client, as installed, against a gateway: each prints one JSON line {name, ok, why, ms}.
// test_javascript.py runs this once and reads the names from its text, so write check("...", async () => ...).

import { strict as assert } from "node:assert";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiError, createFalClient, ValidationError } from "@fal-ai/client";

const { BASE, KEY, APP, QUEUED, FOLDER } = process.env;
const OWNER = APP.split("/")[0];

// --- the adapters that the README shows -------------------------------------------------------------------------
const hosts = { "fal.run": "/run", "queue.fal.run": "/queue", "rest.fal.ai": "/rest" };
const local = (address, base) => {
  const { host, pathname, search } = new URL(address);
  return hosts[host] ? base + hosts[host] + pathname + search : address;
};
const NativeSocket = globalThis.WebSocket;
globalThis.WebSocket = class extends NativeSocket {
  constructor(address, protocols) {
    super(local(address, BASE.replace("http", "ws")), protocols);
  }
};

let requests = []; // what the client sent, newest last: "METHOD /path", and " with key" where it sent one
const seen = (init, address) => {
  const key = new Headers(init?.headers).has("authorization") ? " with key" : "";
  requests.push(`${init?.method ?? "GET"} ${new URL(address).pathname}${key}`);
};
const fetchLocally = (address, init) => {
  seen(init, String(address));
  return fetch(local(String(address), BASE), init);
};
const fal = createFalClient({ credentials: KEY, fetch: fetchLocally });
const proxied = createFalClient({
  credentials: KEY,
  proxyUrl: { url: `${BASE}/proxy`, when: "always" },
});
const rewritten = createFalClient({
  credentials: KEY,
  requestMiddleware: async (request) => ({ ...request, url: local(request.url, BASE) }),
});

// --- helpers ----------------------------------------------------------------------------------------------------
const checks = [];
const check = (name, work) => checks.push([name, work]);
const file = () => join(FOLDER, randomUUID());
const touch = (path) => writeFileSync(path, "");
const sent = (what) => requests.filter((line) => line.includes(what)).length;
const until = async (fact, seconds = 15) => {
  const deadline = Date.now() + seconds * 1000;
  while (!(await fact())) {
    assert(Date.now() < deadline, "it did not come true in time");
    await sleep(10);
  }
};
const failure = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail("it did not fail");
};
const hold = async () => {
  const gate = file();
  const { request_id: requestId } = await fal.queue.submit(QUEUED, { input: { name: "holds", gate } });
  await until(async () => (await fal.queue.status(QUEUED, { requestId })).status === "IN_PROGRESS");
  return async () => {
    touch(gate);
    await until(async () => (await fal.queue.status(QUEUED, { requestId })).status === "COMPLETED");
  };
};
const text = async (address) => await (await fetch(address)).text();

// --- run --------------------------------------------------------------------------------------------------------
check("run gives the output, and the id of its request", async () => {
  const { data, requestId } = await fal.run(APP, { input: { prompt: "a cat", n: [1, null] } });
  assert.deepEqual(data.input, { prompt: "a cat", n: [1, null] });
  assert.equal(data.headers["user-agent"], "@fal-ai/client/1.10.1");
  assert.equal(data.headers["x-fal-request-id"], requestId);
  assert.match(requestId, /^[0-9a-f-]{36}$/);
  assert.equal(requests.length, 1);
});

check("run reaches a path below the app, in the id or beside it", async () => {
  for (const [id, path] of [[`${APP}/sub/x`], [APP, "/sub/x"]]) {
    const { data } = await fal.run(id, { input: { n: 1 }, path });
    assert.deepEqual(data, { input: { n: 1 }, path: "/sub/x" });
  }
});

check("run reaches the app below a namespace and by a whole address", async () => {
  for (const id of [`workflows/${APP}/sub/x`, `comfy/${APP}/sub/x`, `https://fal.run/${APP}/sub/x`]) {
    const { data } = await fal.run(id, { input: { n: 1 } });
    assert.deepEqual(data.input, { n: 1 });
  }
});

check("run without input sends an empty body, which is no input", async () => {
  const { data } = await fal.run(APP);
  assert.equal(data.method, "POST");
  assert.ok(data.input === null || Object.keys(data.input).length === 0);
});

check("run carries a megabyte of unicode both ways", async () => {
  const words = "é漢🎈 ".repeat(110_000);
  const { data } = await fal.run(APP, { input: { words } });
  assert.ok(Buffer.byteLength(words) > 1_000_000);
  assert.equal(data.input.words, words);
});

check("run gives bytes as an ArrayBuffer", async () => {
  const { data } = await fal.run(`${APP}/bytes`, { input: {} });
  assert.deepEqual([...new Uint8Array(data)], [0, 1, 2]);
});

check("input that is not valid is a ValidationError with the fields", async () => {
  const error = await failure(fal.run(`${APP}/valid`, { input: { steps: "many" } }));
  assert.ok(error instanceof ValidationError);
  assert.equal(error.status, 422);
  assert.deepEqual(error.fieldErrors.map(({ loc }) => loc.at(-1)).sort(), ["prompt", "steps"]);
  assert.equal(error.getFieldErrors("prompt")[0].type, "missing");
});

check("an error of the app is an ApiError with its status, body and request id, and one request", async () => {
  const error = await failure(fal.run(`${APP}/teapot`, { input: { name: randomUUID() } }));
  assert.ok(error instanceof ApiError);
  assert.equal(error.status, 418);
  assert.deepEqual(error.body.detail, "I am a teapot");
  assert.ok(error.requestId);
  assert.equal(requests.length, 1);
});

check("an unhandled error is 500 once and tells nothing of the app", async () => {
  const error = await failure(fal.run(`${APP}/fails`, { input: { name: randomUUID() } }));
  assert.equal(error.status, 500);
  assert.equal(error.message, "Internal Server Error");
  assert.ok(!JSON.stringify(error.body).includes("secret"));
  assert.equal(requests.length, 1);
});

check("without credentials and with wrong ones the answer is 401, once", async () => {
  for (const credentials of [undefined, "wrong", "fjk_AAAAAAAA:wrong"]) {
    requests = [];
    const stranger = createFalClient({ credentials, fetch: fetchLocally });
    const error = await failure(stranger.run(APP, { input: {} }));
    assert.equal(error.status, 401);
    assert.match(error.body.detail, /key/);
    assert.equal(requests.length, 1);
  }
});

check("a public app needs no credentials", async () => {
  const stranger = createFalClient({ credentials: undefined, fetch: fetchLocally });
  const { data } = await stranger.run(QUEUED, { input: { name: "anybody" } });
  assert.deepEqual(data, { name: "anybody" });
});

check("an app that is not there is 404 for run and submit, once each", async () => {
  for (const ask of [fal.run, fal.queue.submit]) {
    requests = [];
    const error = await failure(ask(`${OWNER}/nobody`, { input: {} }));
    assert.equal(error.status, 404);
    assert.match(error.body.detail, /nobody/);
    assert.equal(requests.length, 1);
  }
});

check("an app that has no time is asked again", async () => {
  const { data } = await fal.run(`${APP}/busy`, { input: { name: randomUUID() } });
  assert.deepEqual(data, { asked: 3 });
  assert.equal(requests.length, 3);
});

check("who is not started in time gets a user timeout, and is not repeated", async () => {
  const release = await hold();
  requests = [];
  try {
    const late = fal.run(QUEUED, {
      input: { name: "late" },
      startTimeout: 1.5,
      abortSignal: AbortSignal.timeout(8000),
    });
    const error = await failure(late);
    assert.equal(error.status, 504);
    assert.equal(error.isUserTimeout, true);
    assert.equal(requests.length, 1);
  } finally {
    await release();
  }
});

check("a caller that aborts ends its work", async () => {
  const mark = file();
  const aborting = new AbortController();
  const lost = failure(fal.run(`${APP}/patient`, { input: { mark }, abortSignal: aborting.signal }));
  await until(() => existsSync(`${mark}.begun`));
  aborting.abort();
  await lost;
  await until(() => existsSync(mark));
});

check("twenty callers at once each get their own", async () => {
  const got = await Promise.all(
    [...Array(20).keys()].map(async (n) => (await fal.run(APP, { input: { n } })).data.input.n),
  );
  assert.deepEqual(got, [...Array(20).keys()]);
});

// --- queue ------------------------------------------------------------------------------------------------------
check("subscribe by polling tells id and states in order, with all the logs", async () => {
  const states = [];
  let id;
  const { data, requestId } = await fal.subscribe(`${APP}/valid`, {
    input: { prompt: "a cat" },
    logs: true,
    pollInterval: 20,
    onEnqueue: (given) => (id = given),
    onQueueUpdate: (update) => states.push(update),
  });
  assert.deepEqual(data, { prompt: "a cat", steps: 1 });
  assert.equal(id, requestId);
  assert.equal(states.at(-1).status, "COMPLETED");
  assert.deepEqual(
    states.at(-1).logs.map(({ message }) => message),
    ["drawing a cat", "done"],
  );
  const ranks = states.map(({ status }) => ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"].indexOf(status));
  assert.deepEqual(ranks, [...ranks].sort());
});

check("subscribe by streaming tells each log line once and ends with COMPLETED", async () => {
  const release = await hold();
  const states = [];
  const result = fal.subscribe(QUEUED, {
    input: { name: "streamed" },
    mode: "streaming",
    logs: true,
    onQueueUpdate: ({ status, logs }) => states.push([status, (logs ?? []).map(({ message }) => message)]),
  });
  await until(() => states.length > 0);
  await release();
  assert.deepEqual((await result).data, { name: "streamed" });
  assert.equal(states[0][0], "IN_QUEUE");
  assert.deepEqual(states.at(-1), ["COMPLETED", ["streamed begins", "streamed ends"]]);
});

check("submit, status, result by id; priority is sent and accepted", async () => {
  const queued = await fal.queue.submit(`${APP}/sub/x`, { input: { n: 1 }, priority: "low", hint: "here" });
  const { request_id: requestId } = queued;
  assert.equal(queued.status, "IN_QUEUE");
  assert.equal(queued.response_url, `${BASE}/queue/${APP}/requests/${requestId}`);
  const done = await fal.queue.subscribeToStatus(APP, { requestId, pollInterval: 20 });
  assert.equal(typeof done.metrics.inference_time, "number");
  const { data, requestId: again } = await fal.queue.result(APP, { requestId });
  assert.deepEqual(data, { input: { n: 1 }, path: "/sub/x" });
  assert.equal(again, requestId);
});

check("a job that failed is COMPLETED with an error, and its result raises as run does", async () => {
  const { request_id: requestId } = await fal.queue.submit(`${APP}/valid`, { input: {} });
  const done = await fal.queue.subscribeToStatus(APP, { requestId, pollInterval: 20 });
  assert.ok(done.error);
  requests = [];
  const error = await failure(fal.queue.result(APP, { requestId }));
  assert.ok(error instanceof ValidationError);
  assert.equal(requests.length, 1);
});

check("a result asked too early is 400; an id that nobody knows is 404", async () => {
  const gate = file();
  const { request_id: requestId } = await fal.queue.submit(`${APP}/wait`, { input: { gate } });
  assert.equal((await failure(fal.queue.result(APP, { requestId }))).status, 400);
  touch(gate);
  const nobody = { requestId: randomUUID() };
  assert.equal((await failure(fal.queue.status(APP, nobody))).status, 404);
  assert.equal((await failure(fal.queue.result(APP, nobody))).status, 404);
  assert.equal((await failure(fal.queue.cancel(APP, nobody))).status, 404);
});

check("a cancelled job becomes COMPLETED with an error; a second cancel is 400", async () => {
  const { request_id: requestId } = await fal.queue.submit(`${APP}/wait`, { input: { gate: file() } });
  await fal.queue.cancel(APP, { requestId });
  const done = await fal.queue.subscribeToStatus(APP, { requestId, pollInterval: 20 });
  assert.equal(done.error_type, "client_cancelled");
  const error = await failure(fal.queue.cancel(APP, { requestId }));
  assert.equal(error.status, 400);
  assert.equal(error.body.status, "ALREADY_COMPLETED");
});

check("a client that loses patience cancels its job and stops asking", async () => {
  const impatient = fal.subscribe(`${APP}/wait`, { input: { gate: file() }, timeout: 600, pollInterval: 50 });
  assert.match((await failure(impatient)).message, /timed out/);
  assert.equal(sent("PUT "), 1);
  await sleep(300); // the polls that were under way
  const asked = requests.length;
  await sleep(700); // what is checked is that nothing is asked any more
  assert.equal(requests.length, asked);
});

check("a webhook's delivery has exactly its address", async () => {
  let received;
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.end());
    received = request.url;
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  try {
    const webhookUrl = `http://127.0.0.1:${server.address().port}/hook?a=1&b=2`;
    await fal.queue.submit(`${APP}/sub/x`, { input: { n: 1 }, webhookUrl });
    await until(() => received);
    assert.equal(received, "/hook?a=1&b=2");
  } finally {
    server.close();
  }
});

// --- streams ----------------------------------------------------------------------------------------------------
const streamed = async (client, options = {}) => {
  const stream = await client.stream(APP, { input: { prompt: "a cat", steps: 20 }, ...options });
  const events = [];
  for await (const event of stream) events.push(event);
  assert.deepEqual(
    events,
    [...Array(20).keys()].map((number) => ({ number, text: "a cat é 漢 🎈" })),
  );
  assert.deepEqual(await stream.done(), events.at(-1));
  assert.ok(stream.requestId);
};

check("stream gives every event in order and ends", async () => await streamed(fal));

check("stream takes an id that ends in /stream as it is", async () => {
  const stream = await fal.stream(`${APP}/stream`, { input: { prompt: "x", steps: 1 } });
  assert.equal((await stream.done()).number, 0);
  assert.deepEqual(requests, [`POST /${APP}/stream with key`]);
});

check("stream in client mode sends a token instead of a key", async () => {
  await streamed(fal, { connectionMode: "client" });
  assert.deepEqual(requests, ["POST /tokens/ with key", `POST /${APP}/stream`]);
});

check("stream of input that is not valid is a ValidationError, once", async () => {
  const stream = await fal.stream(APP, { input: {} });
  assert.ok((await failure(stream.done())) instanceof ValidationError);
  assert.equal(requests.length, 1);
});

check("who aborts a stream stops its producer", async () => {
  const mark = file();
  const stream = await fal.stream(`${APP}/endless/stream`, { input: { mark } });
  let events = 0;
  stream.on("data", () => (events += 1));
  await until(() => events > 3);
  stream.abort();
  await until(() => existsSync(mark));
});

// --- realtime ---------------------------------------------------------------------------------------------------
const connect = (options = {}) => {
  const results = [];
  const errors = [];
  const connection = fal.realtime.connect(APP, {
    throttleInterval: 0,
    onResult: (result) => results.push(result),
    onError: (error) => errors.push(error),
    ...options,
  });
  return { connection, results, errors };
};

check("realtime gives a map for a map, with bytes in it", async () => {
  const { connection, results, errors } = connect();
  for (let number = 0; number < 3; number += 1) {
    connection.send({ number, text: "é漢🎈", blob: new Uint8Array([0, 255]) });
    await until(() => results.length > number);
  }
  connection.close();
  assert.deepEqual(errors, []);
  assert.deepEqual(
    results.map(({ said }) => said.number),
    [0, 1, 2],
  );
  assert.deepEqual([...results[0].said.blob], [0, 255]);
  assert.deepEqual([...results[0].bytes], [0, 255]);
});

check("realtime tells an error of the app without its words", async () => {
  const { connection, errors } = connect();
  connection.send({ fail: true });
  await until(() => errors.length > 0);
  connection.close();
  assert.equal(errors[0].status, 400);
  assert.match(errors[0].message, /^INTERNAL_ERROR/);
});

check("realtime takes a token of the user's own provider, and refuses a bad one", async () => {
  let asked;
  const good = connect({
    tokenProvider: async (id) => {
      asked = id;
      const answer = await fetch(`${BASE}/rest/tokens/`, {
        method: "POST",
        headers: { Authorization: `Key ${KEY}`, "Content-Type": "application/json" },
        body: JSON.stringify({ allowed_apps: [APP.split("/")[1]], token_expiration: 60 }),
      });
      return await answer.json();
    },
  });
  good.connection.send({ n: 1 });
  await until(() => good.results.length > 0);
  good.connection.close();
  assert.equal(asked, `${APP}/realtime`);
  const bad = connect({ tokenProvider: async () => "a.b.c" });
  bad.connection.send({ n: 1 });
  await until(() => bad.errors.length > 0);
  assert.deepEqual(bad.results, []);
});

// --- storage ----------------------------------------------------------------------------------------------------
check("upload of a Blob and of a File serves the bytes with their type, and sends no key to the bytes", async () => {
  for (const data of [
    new Blob(["of a blob"], { type: "text/plain" }),
    new File(["of a file"], "a b é.txt", { type: "text/plain" }),
  ]) {
    const address = await fal.storage.upload(data);
    const served = await fetch(address);
    assert.equal(await served.text(), await data.text());
    assert.match(served.headers.get("content-type"), /^text\/plain/);
    assert.ok(address.startsWith(`${BASE}/cdn/`));
  }
  assert.deepEqual([sent("POST "), sent("PUT ")], [2, 2]);
  assert.ok(requests.every((line) => line.startsWith("PUT ") !== line.endsWith(" with key")));
});

check("upload with a lifetime is accepted", async () => {
  const address = await fal.storage.upload(new Blob(["x"]), { lifecycle: { expiresIn: "1h" } });
  assert.equal(await text(address), "x");
});

check("blobs in an input are uploaded, and other values stay as they are", async () => {
  const input = {
    nested: [{ image: new Blob(["deep"], { type: "text/plain" }) }],
    inline: "data:text/plain;base64,eA==",
    n: 1,
  };
  const { data } = await fal.run(APP, { input });
  assert.equal(await text(data.input.nested[0].image), "deep");
  assert.deepEqual([data.input.inline, data.input.n], [input.inline, 1]);
  const { data: fetched } = await fal.run(`${APP}/fetch`, { input: { url: data.input.nested[0].image } });
  assert.deepEqual(fetched, { length: 4, type: "text/plain", text: "deep" });
});

check("more than ninety mebibytes go in parts", async () => {
  const data = Buffer.concat([...Array(90).fill(randomBytes(1 << 20)), Buffer.from("+")]);
  const address = await fal.storage.upload(new Blob([data]));
  assert.equal(sent("PUT "), 10);
  const served = Buffer.from(await (await fetch(address)).arrayBuffer());
  const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
  assert.equal(digest(served), digest(data));
});

// --- the other ways to turn the client ----------------------------------------------------------------------------
check("proxyUrl: run, errors, queue and stream as without it", async () => {
  assert.deepEqual((await proxied.run(`${APP}/sub/x`, { input: { n: 1 } })).data.input, { n: 1 });
  assert.ok((await failure(proxied.run(`${APP}/valid`, { input: {} }))) instanceof ValidationError);
  const { data } = await proxied.subscribe(`${APP}/valid`, { input: { prompt: "x" }, logs: true, pollInterval: 20 });
  assert.deepEqual(data, { prompt: "x", steps: 1 });
  await streamed(proxied);
});

check("proxyUrl: a status stream and uploads as without it", async () => {
  const { data } = await proxied.subscribe(`${APP}/valid`, { input: { prompt: "x" }, mode: "streaming" });
  assert.deepEqual(data, { prompt: "x", steps: 1 });
  assert.equal(await text(await proxied.storage.upload(new Blob(["by proxy"]))), "by proxy");
});

check("proxyUrl: a stream's first event comes before its last is made", async () => {
  const mark = file();
  const stream = await proxied.stream(`${APP}/endless/stream`, { input: { mark } });
  let events = 0;
  stream.on("data", () => (events += 1));
  await until(() => events > 2);
  stream.abort();
  await until(() => existsSync(mark));
});

check("requestMiddleware: run, queue and stream", async () => {
  assert.deepEqual((await rewritten.run(`${APP}/sub/x`, { input: { n: 1 } })).data.input, { n: 1 });
  const { data } = await rewritten.subscribe(`${APP}/valid`, { input: { prompt: "x" }, pollInterval: 20 });
  assert.deepEqual(data, { prompt: "x", steps: 1 });
  await streamed(rewritten);
});

// --- the run ----------------------------------------------------------------------------------------------------
console.warn = () => {}; // the client's words on tokens
process.on("unhandledRejection", () => {}); // a stream's second promise, which nobody can wait for
for (const [name, work] of checks) {
  requests = [];
  const began = performance.now();
  let why = null;
  try {
    await Promise.race([
      work(),
      sleep(25_000, undefined, { ref: false }).then(() => Promise.reject(new Error("it took more than 25 s"))),
    ]);
  } catch (error) {
    why = String(error?.stack ?? error);
  }
  const line = { name, ok: why === null, why, ms: Math.round(performance.now() - began) };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
process.exit(0);
