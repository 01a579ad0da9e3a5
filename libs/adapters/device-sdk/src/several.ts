/** Does the work for each item, so many at once; fails with the first failure, after what had begun is over. */
export async function several<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  const lanes = Array.from({ length: Math.min(atOnce, items.length) }, lane);
  for (const outcome of await Promise.allSettled(lanes))
    if (outcome.status === 'rejected') throw outcome.reason;
}
