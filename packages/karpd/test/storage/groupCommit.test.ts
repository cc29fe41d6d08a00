import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupCommit } from "../../src/storage/groupCommit.ts";

/** A disk that syncs when it is told to. */
class HeldDisk {
  readonly batches: (readonly number[])[] = [];
  #release: (() => void) | undefined;

  readonly commit = (items: readonly number[]): Promise<readonly (Error | undefined)[]> => {
    this.batches.push(items);
    return new Promise((resolve, reject) => {
      this.#release = () => {
        if (items.includes(-1)) reject(new Error("the disk is gone"));
        else resolve(items.map((item) => (item % 10 === 9 ? new Error(`no ${item}`) : undefined)));
      };
    });
  };

  async sync(): Promise<void> {
    this.#release?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("what arrives while a commit runs goes into the next one, in order", async () => {
  const disk = new HeldDisk();
  const commits = new GroupCommit<number>(disk.commit);
  const done: number[] = [];
  for (const item of [1, 2, 3]) void commits.add(item).then(() => done.push(item));
  assert.deepEqual(disk.batches, [[1]]);
  assert.equal(done.length, 0);
  await disk.sync();
  assert.deepEqual(disk.batches, [[1], [2, 3]]);
  assert.deepEqual(done, [1], "nothing resolves before its own sync");
  void commits.add(4).then(() => done.push(4));
  await disk.sync();
  await disk.sync();
  assert.deepEqual(disk.batches, [[1], [2, 3], [4]]);
  assert.deepEqual(done, [1, 2, 3, 4]);
});

test("a failed item fails alone, a failed commit fails all of it, and the next one runs", async () => {
  const disk = new HeldDisk();
  const commits = new GroupCommit<number>(disk.commit);
  const outcomes: string[] = [];
  const add = (item: number): void =>
    void commits.add(item).then(
      () => outcomes.push(`${item} stored`),
      (error: Error) => outcomes.push(error.message),
    );
  for (const item of [1, 9, 2]) add(item);
  await disk.sync();
  for (const item of [-1, 3]) add(item);
  await disk.sync();
  await disk.sync();
  add(4);
  await disk.sync();
  assert.deepEqual(outcomes, ["1 stored", "no 9", "2 stored", "the disk is gone", "the disk is gone", "4 stored"]);
  await commits.settled();
});
