import { fromHex, toHex } from '@antirio/kernel';

const HASH_BYTES = 32;

/** The state hash after every block: 32 bytes each, so that whoever saw one can ask whether it is still in the log. */
export class StateHashes {
  #bytes = new Uint8Array(1024 * HASH_BYTES);
  #count = 0;

  /** Of the next block: heights have no gaps. */
  push(stateHash: string): void {
    const end = (this.#count + 1) * HASH_BYTES;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(fromHex(stateHash, HASH_BYTES), this.#count * HASH_BYTES);
    this.#count += 1;
  }

  at(height: number): string | undefined {
    if (height < 0 || height >= this.#count) return undefined;
    return toHex(this.#bytes.subarray(height * HASH_BYTES, (height + 1) * HASH_BYTES));
  }
}
