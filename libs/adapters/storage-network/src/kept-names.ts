import { blockKey, openPins, type CID, type Pins } from '@antirio/content-store';
import type { Clock } from '@antirio/kernel';

/** What was replaced, until it has been let go. */
const REPLACED = 'replaced:';
const NAMED = 'name:';
/** What is about to be pinned under a name: after a crash nobody knows whether it is. */
const INTENDED = 'intended:';

/** Which names keep what: a pin of Kubo has one name only. Durable once a call returns. */
export class KeptNames {
  readonly #pins: Pins;

  constructor(path: string, clock: Clock) {
    this.#pins = openPins(path, clock);
  }

  intend(name: string, cid: CID): void {
    this.#set(INTENDED + name, cid);
  }

  name(name: string, cid: CID): void {
    this.#set(NAMED + name, cid);
    this.dropIntent(name);
  }

  dropIntent(name: string): void {
    this.#pins.remove(INTENDED + name);
  }

  /** What the name keeps or may keep. */
  of(name: string): CID[] {
    const own = ownRows(name);
    return this.#pins
      .all()
      .filter((pin) => own.includes(pin.name))
      .map(({ cid }) => cid);
  }

  /** All names that keep something, or may. */
  all(): string[] {
    const names = this.#pins.all().flatMap((pin) => {
      const prefix = [NAMED, INTENDED].find((each) => pin.name.startsWith(each));
      return prefix === undefined ? [] : [pin.name.slice(prefix.length)];
    });
    return [...new Set(names)];
  }

  /** What names keep, or may keep, each once. */
  kept(): CID[] {
    const kept = this.#pins.all().filter(({ name }) => !name.startsWith(REPLACED));
    return [...new Map(kept.map(({ cid }) => [blockKey(cid), cid])).values()];
  }

  drop(name: string): void {
    for (const row of ownRows(name)) this.#pins.remove(row);
  }

  /** Whether a name keeps it, besides the one that is left out. */
  isKept(cid: CID, besides?: string): boolean {
    const own = besides === undefined ? [] : ownRows(besides);
    const rows = this.#pins.all().filter((pin) => pin.cid.equals(cid));
    return rows.some(({ name }) => !name.startsWith(REPLACED) && !own.includes(name));
  }

  /** What has been replaced and not let go since. */
  replaced(): CID[] {
    return this.#pins
      .all()
      .filter(({ name }) => name.startsWith(REPLACED))
      .map(({ cid }) => cid);
  }

  isLetGo(cid: CID): void {
    this.#pins.remove(REPLACED + blockKey(cid));
  }

  close(): void {
    this.#pins.close();
  }

  /** What the name kept before is let go in a second step, which is done again after a crash. */
  #set(row: string, cid: CID): void {
    const before = this.#pins.all().find((each) => each.name === row)?.cid;
    if (before?.equals(cid) === true) return;
    if (before !== undefined) this.#pins.set(REPLACED + blockKey(before), before);
    this.#pins.set(row, cid);
  }
}

const ownRows = (name: string): string[] => [NAMED + name, INTENDED + name];
