/** Values by key; nearly every key has one of them alone. */
export interface Grouped<K, V> {
  has(key: K): boolean;
  /** In the order in which they were added; undefined where there are none. */
  get(key: K): readonly V[] | undefined;
  keys(): Iterable<K>;
}

/** A value that is alone under its key stands for itself: ten thousand lists of one would hold more than the rest of the map. */
export class Groups<K, V extends object> implements Grouped<K, V> {
  readonly #single = new Map<K, V>();
  readonly #several = new Map<K, readonly V[]>();

  has(key: K): boolean {
    return this.#single.has(key) || this.#several.has(key);
  }

  get(key: K): readonly V[] | undefined {
    const single = this.#single.get(key);
    return single === undefined ? this.#several.get(key) : [single];
  }

  keys(): K[] {
    return [...this.#single.keys(), ...this.#several.keys()];
  }

  add(key: K, value: V): void {
    this.#put(key, [...(this.get(key) ?? []), value]);
  }

  delete(key: K, value: V): void {
    this.#put(
      key,
      (this.get(key) ?? []).filter((one) => one !== value),
    );
  }

  #put(key: K, values: readonly V[]): void {
    this.#single.delete(key);
    this.#several.delete(key);
    const [first, ...more] = values;
    if (first === undefined) return;
    if (more.length === 0) this.#single.set(key, first);
    else this.#several.set(key, values);
  }
}
