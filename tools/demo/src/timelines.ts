import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { PartyNode } from './nodes.ts';
import type { EpochGrant, Party } from './radio-judge.ts';
import { rest } from './rest.ts';
import type { Stage } from './stage.ts';

const noteSchema = z.looseObject({
  monotonic: z.number(),
  milestone: z.string(),
  detail: z.record(z.string(), z.unknown()),
});
/** What an edge's arbitrator noted; `monotonic` is the clock that all processes of this machine share. */
export type Note = z.output<typeof noteSchema>;

const timelineSchema = z.looseObject({ notes: z.array(noteSchema) });
const contractSchema = z.looseObject({
  state: z.string(),
  fence: z
    .looseObject({ state: z.string(), epoch: z.int().optional(), actFrom: z.number().optional() })
    .optional(),
  terms: z.looseObject({
    slots: z.object({ customer: z.int(), provider: z.int() }),
    stakes: z.object({ customer: z.int(), provider: z.int() }),
    set: z.looseObject({ setId: z.string() }),
  }),
});
export type ContractView = z.output<typeof contractSchema>;

/** Both parties' notes on one contract, followed by REST as an operator would. */
export interface Timelines {
  /** Reads what is new and tells it; an edge that does not answer is left out. */
  update(): Promise<void>;
  /** The first note of that kind at that party after a time (monotonic ms). */
  find(party: Party, milestone: string, after?: number): Note | undefined;
  /** All notes of that party from a time on (monotonic ms), as they came. */
  since(party: Party, after: number): readonly Note[];
  /** The party's contract as it said last. */
  view(party: Party): ContractView | undefined;
  /** From here on milestones are told with the time since. */
  failureAt(monotonicMs: number): void;
  /** Epochs, and from when on their holders may act. */
  grants(): EpochGrant[];
}

const PATIENCE_MS = 100;

/** Milestones in the words of the reader. */
const TOLD: Readonly<Record<string, string>> = {
  ready: 'READY: the contract is armed',
  suspected: 'suspects that the other is dead',
  cleared: 'the suspicion is cleared',
  confirmed: 'is sure that the other is dead, and asks for the keys',
  opened: 'keys opened: the shadow buffer is replayed',
  activated: 'activated: holds the epoch',
  fenced: 'has shut its fence',
  released: 'released the epoch',
  retaken: 'took the epoch back',
  stated: 'gave its statement',
  ended: 'the contract has ended',
  letGo: 'listens for the other no more',
};

const detailOf = ({ detail }: Note): string => {
  const parts = Object.entries(detail).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
};

class ContractTimelines implements Timelines {
  readonly #contractId: string;
  readonly #nodes: ReadonlyMap<Party, PartyNode>;
  readonly #stage: Stage;
  readonly #notes: Record<Party, Note[]> = { customer: [], provider: [] };
  readonly #views = new Map<Party, ContractView>();
  readonly #actFrom = new Map<number, { holder: Party; actFrom: number }>();
  readonly #underWay = new Map<Party, Promise<void>>();
  #failureAt: number | undefined;

  constructor(contractId: string, nodes: ReadonlyMap<Party, PartyNode>, stage: Stage) {
    this.#contractId = contractId;
    this.#nodes = nodes;
    this.#stage = stage;
  }

  async update(): Promise<void> {
    const following = [...this.#nodes].map(([party, node]) => {
      const underWay = this.#underWay.get(party) ?? this.#follow(party, node);
      this.#underWay.set(party, underWay);
      return underWay.finally(() => this.#underWay.delete(party));
    });
    // A frozen edge must not keep us from telling what the other does.
    await Promise.race([Promise.all(following), sleep(PATIENCE_MS)]);
  }

  find(party: Party, milestone: string, after = -Infinity): Note | undefined {
    return this.#notes[party].find((note) => note.milestone === milestone && note.monotonic >= after);
  }

  since(party: Party, after: number): readonly Note[] {
    return this.#notes[party].filter(({ monotonic }) => monotonic >= after);
  }

  view(party: Party): ContractView | undefined {
    return this.#views.get(party);
  }

  failureAt(monotonicMs: number): void {
    this.#failureAt = monotonicMs;
  }

  grants(): EpochGrant[] {
    return grantsFrom(this.#notes, this.#actFrom);
  }

  async #follow(party: Party, node: PartyNode): Promise<void> {
    const base = `${node.url('arbitrator')}/arbitrator/v1/contract/${this.#contractId}`;
    try {
      const [{ notes }, view] = await Promise.all([
        rest(timelineSchema, `${base}/timeline`, { timeoutMs: 1_000 }),
        rest(contractSchema, base, { timeoutMs: 1_000 }),
      ]);
      this.#views.set(party, view);
      this.#noteFence(party, view);
      const known = this.#notes[party].length;
      this.#notes[party] = notes;
      for (const note of notes.slice(known)) this.#tell(node, note);
    } catch {
      // Killed, frozen, cut off: that is what the demo is about.
      this.#views.delete(party);
    }
  }

  #noteFence(holder: Party, { fence }: ContractView): void {
    const { epoch, actFrom } = fence ?? {};
    if (epoch === undefined || actFrom === undefined) return;
    const known = this.#actFrom.get(epoch);
    // After a restart a holder waits again; nobody else's right to act depends on that.
    if (known === undefined || actFrom < known.actFrom) this.#actFrom.set(epoch, { holder, actFrom });
  }

  #tell({ title }: PartyNode, note: Note): void {
    const since = this.#failureAt === undefined ? undefined : note.monotonic - this.#failureAt;
    const text = `${title}: ${TOLD[note.milestone] ?? note.milestone}${detailOf(note)}`;
    this.#stage.milestone(text, since !== undefined && since >= 0 ? since : undefined);
  }
}

/** Follows a contract at the two edges that signed it. */
export function followContract(
  contractId: string,
  nodes: { readonly customer: PartyNode; readonly provider: PartyNode },
  stage: Stage,
): Timelines {
  return new ContractTimelines(contractId, new Map(Object.entries(nodes) as [Party, PartyNode][]), stage);
}

/** Which notes give an epoch to whom. */
const GIVES: Readonly<Record<Party, ReadonlySet<string>>> = {
  customer: new Set(['ready', 'retaken']),
  provider: new Set(['activated']),
};

const numberIn = (detail: Note['detail'], name: string): number | undefined => {
  const value = detail[name];
  return typeof value === 'number' ? value : undefined;
};

/** Note and fence tell of one opening: who starts again waits for three seconds at least. */
const AGREE_WITHIN_MS = 1000;

type Fences = ReadonlyMap<number, { readonly holder: Party; readonly actFrom: number }>;

function mayActFrom(holder: Party, epoch: number, note: Note, fences: Fences): number {
  // The contract's first epoch is its customer's, as all was before.
  if (note.milestone === 'ready') return note.monotonic;
  const fence = fences.get(epoch);
  const afterMs = numberIn(note.detail, 'actAfterMs');
  const said = note.monotonic + (afterMs ?? 0);
  if (fence?.holder !== holder) return said;
  // A holder that was killed before anybody had seen its fence waits again, and its fence knows of that time alone.
  const isOfRestart = afterMs !== undefined && fence.actFrom > said + AGREE_WITHIN_MS;
  return isOfRestart ? said : fence.actFrom;
}

/** Epochs by the parties' notes; the fence's own word on when acting begins goes before what follows from a note. */
export function grantsFrom(notes: Readonly<Record<Party, readonly Note[]>>, fences: Fences): EpochGrant[] {
  const grants = new Map<number, EpochGrant>();
  for (const holder of ['customer', 'provider'] as const)
    for (const note of notes[holder]) {
      const epoch = numberIn(note.detail, 'epoch');
      if (epoch === undefined || !GIVES[holder].has(note.milestone) || grants.has(epoch)) continue;
      grants.set(epoch, { epoch, holder, mayActFrom: mayActFrom(holder, epoch, note, fences) });
    }
  return [...grants.values()].sort((a, b) => a.epoch - b.epoch);
}
