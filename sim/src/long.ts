import { keepsTime } from './activation.ts';
import { oneOldDisk } from './backups.ts';
import { keepsRekeyingTime } from './rekeying.ts';
import { drawScenario, type Fault, type Scenario, type When } from './scenario.ts';

const ACTIVE_MS = 600_000;
const ROUND_MS = 60_000;
/** So many may be paid for: the contract lasts as long as the world. */
const TAKEOVERS = 1000;

function later(when: When, byMs: number): When {
  return 'at' in when ? { at: when.at + byMs } : { ...when, notBefore: byMs };
}

/** What befalls other worlds of a minute befalls this one in its minutes, one after the other. */
function drawRounds(seed: number): readonly Fault[] {
  const rounds = Array.from({ length: ACTIVE_MS / ROUND_MS }, (_, i) => i);
  return rounds.flatMap((i) =>
    drawScenario(seed * rounds.length + i).faults.map((fault) => ({
      ...fault,
      when: later(fault.when, i * ROUND_MS),
    })),
  );
}

/** Ten minutes, and one contract all along, with takeovers as they come. */
export function drawLong(seed: number): Scenario {
  const alone = drawScenario(seed);
  const { healAt, silenceAt, endAt, rekeying } = alone;
  const activation = { ...alone.terms([]).activation, takeovers: TAKEOVERS };
  return {
    ...alone,
    terms: (devices) => ({ ...alone.terms(devices), activation }),
    faults: oneOldDisk(drawRounds(seed)).filter(
      (fault) => keepsTime(activation, fault) && keepsRekeyingTime(rekeying, fault),
    ),
    healAt: ACTIVE_MS + 1000,
    silenceAt: ACTIVE_MS + 1000 + silenceAt - healAt,
    endAt: ACTIVE_MS + 1000 + endAt - healAt,
  };
}
