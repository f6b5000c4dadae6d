import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { runTasks, type Task } from "../../scripts/lib/task_queue.mjs";

/** Tasks that end when the test says so. */
class Stage {
  readonly begun: string[] = [];
  readonly #ends = new Map<string, PromiseWithResolvers<string>>();

  task(name: string, more: Partial<Task<string>> = {}): Task<string> {
    const end = Promise.withResolvers<string>();
    this.#ends.set(name, end);
    const run = () => {
      this.begun.push(name);
      return end.promise;
    };
    return { run, ...more };
  }

  tasks(...names: string[]): Task<string>[] {
    return names.map((name) => this.task(name));
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)!.resolve(name);
    await setImmediate();
  }

  async fail(name: string, error: Error): Promise<void> {
    this.#ends.get(name)!.reject(error);
    await setImmediate();
  }
}

describe("runTasks", () => {
  it("begins tasks in their order, as many at once as it may, and gives what they resolve to in that of their ends", async () => {
    const stage = new Stage();
    const running = runTasks(stage.tasks("a", "b", "c", "d"), 2);
    assert.deepEqual(stage.begun, ["a", "b"]);
    await stage.end("b");
    assert.deepEqual(stage.begun, ["a", "b", "c"]);
    await stage.end("c");
    await stage.end("a");
    await stage.end("d");
    assert.deepEqual(await running, ["b", "c", "a", "d"]);
  });

  it("never runs two tasks of one lock at once, and begins those behind them meanwhile", async () => {
    const stage = new Stage();
    const lock = "memory";
    const tasks = [stage.task("a", { lock }), stage.task("b", { lock }), stage.task("c"), stage.task("d", { lock })];
    const running = runTasks(tasks, 2);
    assert.deepEqual(stage.begun, ["a", "c"]);
    await stage.end("c");
    assert.deepEqual(stage.begun, ["a", "c"]);
    await stage.end("a");
    assert.deepEqual(stage.begun, ["a", "c", "b"]);
    await stage.end("b");
    await stage.end("d");
    assert.deepEqual(await running, ["c", "a", "b", "d"]);
  });

  it("begins a task once the one before it has ended", async () => {
    const stage = new Stage();
    const first = stage.task("first");
    const running = runTasks([stage.task("second", { after: first }), first, stage.task("other")], 3);
    assert.deepEqual(stage.begun, ["first", "other"]);
    await stage.end("first");
    assert.deepEqual(stage.begun, ["first", "other", "second"]);
    await stage.end("second");
    await stage.end("other");
    assert.deepEqual(await running, ["first", "second", "other"]);
  });

  it("counts a task as many when it weighs more, and runs it alone when it weighs more than may run at once", async () => {
    const stage = new Stage();
    const tasks = [stage.task("a", { weight: 2 }), ...stage.tasks("b", "c"), stage.task("d", { weight: 9 })];
    const running = runTasks(tasks, 3);
    assert.deepEqual(stage.begun, ["a", "b"]);
    await stage.end("a");
    assert.deepEqual(stage.begun, ["a", "b", "c"]);
    await stage.end("b");
    assert.deepEqual(stage.begun, ["a", "b", "c"]);
    await stage.end("c");
    assert.deepEqual(stage.begun, ["a", "b", "c", "d"]);
    await stage.end("d");
    assert.deepEqual(await running, ["a", "b", "c", "d"]);
  });

  it("rejects and begins nothing more when a task rejects, or could never begin", async () => {
    const stage = new Stage();
    const running = runTasks(stage.tasks("a", "b", "c"), 2);
    const rejected = assert.rejects(running, /broken/);
    await stage.fail("a", new Error("broken"));
    await stage.end("b");
    await rejected;
    assert.deepEqual(stage.begun, ["a", "b"]);
    await assert.rejects(runTasks([stage.task("d", { after: stage.task("elsewhere") })], 1), /not of its list/);
  });

  it("resolves when there is nothing to run", async () => {
    assert.deepEqual(await runTasks([], 2), []);
  });
});
