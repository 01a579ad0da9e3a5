import { readTruth } from '@antirio/lora-simulator';
import { z } from 'zod';
import { allEvents } from './core-data.ts';
import { judgeRadio, type Actor, type EpochGrant, type RadioVerdict } from './radio-judge.ts';
import { GATEWAYS, gatewayOf } from './radio.ts';
import { rest } from './rest.ts';
import { quietFaults, settlementFaults, takeoverFaults, type DemoReport, type TakeoverMs } from './result.ts';
import type { ContractedRun } from './run.ts';
import {
  contractSchema,
  handbackOf,
  settlementOf,
  statementSchema,
  type LedgerContract,
} from './settlement.ts';
import { judgeUplinks, type Disturbance } from './uplink-verdict.ts';
import { DemoError } from './errors.ts';

export interface Verdict {
  readonly report: DemoReport;
  readonly faults: readonly string[];
}

const accountSchema = z.looseObject({ balance: z.int() });

/** A value of the ledger's state; the room wraps it with its key. */
async function ledgerState<S extends z.ZodType>(
  run: ContractedRun,
  schema: S,
  key: string,
): Promise<z.output<S>> {
  const answer = await rest(
    z.looseObject({ value: z.unknown() }),
    `${run.nodes.central.url('ledger')}/ledger/v1/state/${key}`,
  );
  return schema.parse(answer.value);
}

const padded = (epoch: number): string => String(epoch).padStart(12, '0');

async function statementOf(run: ContractedRun, { activation }: LedgerContract) {
  if (activation === undefined) return undefined;
  const key = `statement/${run.contractId}/${padded(activation.epoch)}/provider`;
  return ledgerState(run, statementSchema, key).catch(() => undefined);
}

async function settlement(run: ContractedRun) {
  const contract = await ledgerState(run, contractSchema, `contract/${run.contractId}`);
  const view = run.timelines.view('customer');
  if (view === undefined) throw new DemoError('badAnswer', 'edge A no longer shows its contract');
  const balance = async (edgeId: string): Promise<number> =>
    (await ledgerState(run, accountSchema, `account/${edgeId}`)).balance;
  const { a, b } = run.nodes;
  const balances = { customer: await balance(a.edgeId), provider: await balance(b.edgeId) };
  return {
    settlement: settlementOf(contract, view.terms.stakes, balances),
    handback: handbackOf(await statementOf(run, contract)),
    disputes: contract.dispute ?? [],
  };
}

/** What the story was like. */
export interface Circumstances {
  /** Edge B took over and handed back while edge A came back at once: there was no time for it to act. */
  readonly early: boolean;
  /** Nobody took over, as it should be: the contract is as it was. */
  readonly quiet: boolean;
  /** The other contract over the same set, with edge C in the place of edge B: it was taken over under both. */
  readonly second?: ContractedRun | undefined;
  /** While edge A was away edge B only kept frames, monotonic ms. */
  readonly kept?: { readonly from: number; readonly until: number } | undefined;
}

/** A fence that nothing had to pass proves nothing. */
function exerciseFaults({ onAir }: RadioVerdict, { early, quiet }: Circumstances): string[] {
  const first = onAir.some(({ party, epoch, count }) => party === 'customer' && epoch <= 1 && count > 0);
  const provider = onAir.some(({ party, count }) => party === 'provider' && count > 0);
  const again = onAir.some(({ party, epoch, count }) => party === 'customer' && epoch > 1 && count > 0);
  return [
    ...(first ? [] : ['edge A put no downlink on air before the failure']),
    ...(provider || early || quiet ? [] : ['edge B put no downlink on air while it served']),
    ...(again || quiet ? [] : ['edge A put no downlink on air after the handback']),
  ];
}

/** What nobody but edge B heard is what its keeping is about. */
function keptFaults(
  { identities }: Awaited<ReturnType<typeof readTruth>>,
  { kept }: Circumstances,
): string[] {
  if (kept === undefined) return [];
  const isKept = identities.some(
    ({ airAt, ackedBy }) =>
      airAt > kept.from &&
      airAt < kept.until &&
      ackedBy.includes(GATEWAYS.b) &&
      !ackedBy.includes(GATEWAYS.a),
  );
  return isKept ? [] : ['edge B acknowledged nothing while edge A was away: its keeping shows nothing'];
}

/** What both contracts tell of the customer is the same. */
const grantsOfSecond = ({ timelines }: ContractedRun): EpochGrant[] =>
  timelines.grants().map((grant) => (grant.holder === 'provider' ? { ...grant, holder: 'second' } : grant));

function radio(
  run: ContractedRun,
  truth: Awaited<ReturnType<typeof readTruth>>,
  circumstances: Circumstances,
): string[] {
  const slots = run.timelines.view('customer')?.terms.slots;
  if (slots === undefined) return ['edge A no longer shows its contract'];
  const { second } = circumstances;
  const otherSlots = second?.timelines.view('customer')?.terms.slots;
  const verdict = judgeRadio({
    downlinks: truth.downlinks,
    ignored: truth.downlinksIgnored,
    gateways: new Map<string, Actor>([
      [GATEWAYS.a, 'customer'],
      [GATEWAYS.b, 'provider'],
      [GATEWAYS.c, 'second'],
    ]),
    slots: { ...slots, ...(otherSlots === undefined ? {} : { second: otherSlots.provider }) },
    grants: [...run.timelines.grants(), ...(second === undefined ? [] : grantsOfSecond(second))],
  });
  return [...verdict.faults, ...exerciseFaults(verdict, circumstances)];
}

/** From when on edge B owes edge A nothing that it hears: some time after the contract's end. */
export function unguardedSince({ timelines, nodes }: ContractedRun, until = Infinity): Disturbance[] {
  const letGo = timelines.find('provider', 'letGo');
  const gateway = gatewayOf(nodes.b.party) ?? '';
  return letGo === undefined ? [] : [{ gateway, from: letGo.monotonic, until }];
}

type Ended = Awaited<ReturnType<typeof settlement>>;

const disputesOf = ({ disputes }: Ended): string[] =>
  disputes.map((dispute) => `the statements differ: ${dispute}`);

/** What became of the money and the handback of every contract; the report is about the first. */
async function settlements(run: ContractedRun, takeoverMs: TakeoverMs, { quiet, second }: Circumstances) {
  const first = await settlement(run);
  if (quiet) return { first, faults: [...quietFaults(takeoverMs, first.settlement), ...disputesOf(first)] };
  const all = second === undefined ? [first] : [first, await settlement(second)];
  const faults = all.flatMap((one) => [
    ...takeoverFaults(takeoverMs, one.handback),
    ...settlementFaults(one.settlement, all.length),
    ...disputesOf(one),
  ]);
  return { first, faults };
}

/** Judges a run by the simulator's truth, A's core-data and the ledger, both over REST; nobody's own claims count. */
export async function judge(
  run: ContractedRun,
  takeoverMs: TakeoverMs,
  circumstances: Circumstances,
): Promise<Verdict> {
  const truth = await readTruth(run.truthFile);
  const events = await allEvents(
    run.nodes.a,
    run.devices.map(({ name }) => name),
  );
  const { devices, disturbances } = run;
  const { second } = circumstances;
  const over = second === undefined ? [] : unguardedSince(second);
  const unguarded = [...unguardedSince(run), ...over, ...run.restores];
  const uplinks = judgeUplinks({ truth, devices, events, disturbances, unguarded });
  const { first: money, faults: ends } = await settlements(run, takeoverMs, circumstances);
  const faults = [
    ...uplinks.faults,
    ...radio(run, truth, circumstances),
    ...keptFaults(truth, circumstances),
    ...ends,
    ...(truth.unreadableLines > 1 ? [`the truth log has ${truth.unreadableLines} unreadable lines`] : []),
  ];
  return {
    report: {
      ok: faults.length === 0,
      uplinks: uplinks.uplinks,
      refused: uplinks.refused,
      takeoverMs,
      handback: money.handback,
      settlement: money.settlement,
    },
    faults,
  };
}
