import { letPass } from '../contract.ts';
import { sendDownlinks } from '../downlinks.ts';
import { DemoError } from '../errors.ts';
import { GATEWAYS } from '../radio.ts';
import type { ContractedRun } from '../run.ts';

/** So long after the last lease request the last frame may still be on air: lease, and how far ahead a frame is timed, with room to spare. */
const SILENT_AFTER_MS = 6_500;
const SILENT_MS = 4_000;

/** Who has no lease sends nothing, whatever it is told to send. */
export async function sendsNothing(run: ContractedRun, forMs = SILENT_MS): Promise<void> {
  const { truth, nodes } = run;
  truth.update();
  const before = truth.downlinksFrom(GATEWAYS.b);
  await sendDownlinks(run, nodes.b, 'without a lease');
  await letPass(run, forMs);
  truth.update();
  const sent = truth.downlinksFrom(GATEWAYS.b) - before;
  if (sent > 0) throw new DemoError('badAnswer', `edge B put ${sent} frames on air without a lease`);
}

/** Nobody gives edge B a lease any more: it is silent as soon as its last one has ended. */
export async function fallsSilent(run: ContractedRun): Promise<void> {
  await letPass(run, SILENT_AFTER_MS);
  await sendsNothing(run);
}
