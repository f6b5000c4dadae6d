// @ts-check
/** Runs tasks beside each other, in a given order as far as they may. */

/**
 * @template T
 * @typedef {object} Task
 * @property {() => Promise<T>} run
 * @property {Task<T>} [after] begins once that one, of the same list, has ended
 * @property {string} [lock] of the tasks with the same one, never two run at once
 * @property {number} [weight] as how many it counts. Default 1.
 */

/**
 * Runs all of `tasks`, at most `most` at once, or one that weighs more. Whenever there is room, the first of those
 * begins that may: a heavy one behind light ones waits for the last of them.
 * @template T
 * @param {readonly Task<T>[]} tasks @param {number} most
 * @returns {Promise<T[]>} in the order in which they ended; rejects with what the first one to fail rejected with, and
 *   begins none after it
 */
export function runTasks(tasks, most) {
  return new Promise((resolve, reject) => {
    const waiting = [...tasks];
    /** @type {Set<Task<T>>} */
    const ended = new Set();
    /** @type {Set<string>} */
    const locked = new Set();
    /** @type {T[]} */
    const results = [];
    /** The weight of all that run. */
    let running = 0;

    /** @param {Task<T>} task */
    const mayBegin = ({ after, lock, weight = 1 }) =>
      (running === 0 || running + weight <= most) && (after === undefined || ended.has(after)) &&
      (lock === undefined || !locked.has(lock));

    /** @param {Task<T>} task */
    const begin = async (task) => {
      const { weight = 1 } = task;
      running += weight;
      if (task.lock !== undefined) locked.add(task.lock);
      try {
        results.push(await task.run());
      } catch (error) {
        waiting.length = 0;
        reject(error);
      }
      running -= weight;
      if (task.lock !== undefined) locked.delete(task.lock);
      ended.add(task);
      beginMore();
    };

    const beginMore = () => {
      while (running < most) {
        const at = waiting.findIndex(mayBegin);
        if (at === -1) break;
        void begin(waiting.splice(at, 1)[0]);
      }
      if (running > 0) return;
      if (waiting.length === 0) resolve(results);
      else reject(new Error("a task is to begin after one that is not of its list"));
    };
    beginMore();
  });
}
