import { readTruth } from '@antirio/lora-simulator';
import { z } from 'zod';
import { allEvents } from './core-data.ts';
import { judgeRadio, type Party, type RadioVerdict } from './radio-judge.ts';
import { GATEWAYS } from './radio.ts';
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

function radio(
  run: ContractedRun,
  truth: Awaited<ReturnType<typeof readTruth>>,
  circumstances: Circumstances,
): string[] {
  const slots = run.timelines.view('customer')?.terms.slots;
  if (slots === undefined) return ['edge A no longer shows its contract'];
  const verdict = judgeRadio({
    downlinks: truth.downlinks,
    ignored: truth.downlinksIgnored,
    gateways: new Map<string, Party>([
      [GATEWAYS.a, 'customer'],
      [GATEWAYS.b, 'provider'],
    ]),
    slots,
    grants: run.timelines.grants(),
  });
  return [...verdict.faults, ...exerciseFaults(verdict, circumstances)];
}

/** From when on edge B owes edge A nothing that it hears: some time after the contract's end. */
export function unguardedSince({ timelines }: ContractedRun, until = Infinity): Disturbance[] {
  const letGo = timelines.find('provider', 'letGo');
  return letGo === undefined ? [] : [{ gateway: GATEWAYS.b, from: letGo.monotonic, until }];
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
  const unguarded = [...unguardedSince(run), ...run.restores];
  const uplinks = judgeUplinks({ truth, devices, events, disturbances, unguarded });
  const money = await settlement(run);
  const faults = [
    ...uplinks.faults,
    ...radio(run, truth, circumstances),
    ...(circumstances.quiet
      ? quietFaults(takeoverMs, money.settlement)
      : [...takeoverFaults(takeoverMs, money.handback), ...settlementFaults(money.settlement)]),
    ...money.disputes.map((dispute) => `the statements differ: ${dispute}`),
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
