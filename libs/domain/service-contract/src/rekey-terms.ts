import { z } from 'zod';

/** After a handback that both agree on, SETTLED waits for devices that join anew, and not longer than this. */
export const rekeyTerms = z.strictObject({
  /** Seconds by the ledger's time; 0: it does not wait. */
  waitS: z.int().min(0).max(86_400).default(0),
});

const devices = z.int().min(0).max(10_000);

/** Of the devices whose keys the provider was given, how many have others now. Numbers only: which they are is nobody's business. */
export const rekeyCount = z.strictObject({
  rekeyed: devices,
  /** They may join anew, and have not yet. */
  waiting: devices,
  /** Their keys are fixed, and stay disclosed until somebody gives them others: nobody waits for these. */
  disclosed: devices,
});
export type RekeyCount = z.output<typeof rekeyCount>;

/** What the central arbitrator's record says of a contract that waits for new keys, or has. */
export const rekeyRecord = z.object({ settlesInMs: z.int().min(0), counted: rekeyCount.optional() });
