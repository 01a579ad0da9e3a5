import {
  ask,
  createDetector,
  createWatch,
  currentNonce,
  heardBeat,
  isDoubtful,
  probeAnswered,
  probeReplied,
  probing,
  rotateNonce,
  silentWitness,
  watch,
  witnessed,
  type ContractTerms,
  type Watch,
  type WitnessState,
} from '@antirio/service-contract';
import { identities } from './identities.ts';
import { rollDice, type Dice } from './random.ts';

/**
 * A customer that runs and sends, a provider that watches it, a witness, and datagrams that get lost: how often is the living one
 * taken for dead? The machines are the product's; time advances from beat to beat, and by ticks only while the provider doubts.
 */
export interface FalsePositiveOptions {
  readonly seed: number;
  readonly beats: number;
  readonly terms: Pick<ContractTerms, 'opening' | 'leaseMs' | 'heartbeatIntervalMs' | 'missedBeats'>;
  /** A datagram's way: its delay in ms, or undefined where it is lost. Asked in the order of time for each link. */
  readonly way: (dice: Dice, link: Link, at: number) => number | undefined;
}

export type Link = 'customerToProvider' | 'providerToCustomer' | 'customerToWitness' | 'witnessToCustomer';

export interface FalsePositives {
  readonly simulatedMs: number;
  readonly doubts: number;
  readonly suspicions: number;
  /** Times that the provider decided to ask for keys and epoch. */
  readonly deaths: number;
}

/** Each datagram is lost with the same chance, whatever became of the others; round trips up to 20 ms. */
export function independentLoss(loss: number): FalsePositiveOptions['way'] {
  return (dice) => (dice.chance(loss) ? undefined : dice.between(0.5, 10));
}

/** A link is dead for a while, exponentially distributed, now and then: so that it is dead for this share of the time. */
export function burstLoss(loss: number, meanMs: number): FalsePositiveOptions['way'] {
  const links = new Map<Link, { dead: boolean; until: number }>();
  const spell = (dice: Dice, dead: boolean): number =>
    -Math.log(1 - dice.between(0, 1)) * (dead ? meanMs : (meanMs * (1 - loss)) / loss);
  return (dice, link, at) => {
    let state = links.get(link) ?? { dead: false, until: spell(dice, false) };
    while (state.until <= at) state = { dead: !state.dead, until: state.until + spell(dice, !state.dead) };
    links.set(link, state);
    return state.dead ? undefined : dice.between(0.5, 10);
  };
}

const VIGIL_EVERY_MS = 500;
const TICK_MS = 20;
const WITNESS_TICK_MS = 10;
/** From the provider to the witness and back there is a connection that loses nothing. */
const ASK_MS = 5;

type Happening = (now: number) => void;

interface Agenda {
  at(time: number, what: Happening): void;
  /** What is due until then, in its order. */
  run(until: number): void;
}

/** Short at all times: sorted insertion is quick enough. */
function openAgenda(): Agenda {
  const due: { readonly time: number; readonly what: Happening }[] = [];
  return {
    at(time, what) {
      let i = due.length;
      while (i > 0 && (due[i - 1]?.time ?? 0) > time) i--;
      due.splice(i, 0, { time, what });
    },
    run(until) {
      for (let next = due[0]; next !== undefined && next.time <= until; next = due[0]) {
        due.shift();
        next.what(next.time);
      }
    },
  };
}

export function countFalsePositives({ seed, beats, terms, way }: FalsePositiveOptions): FalsePositives {
  const dice = rollDice(seed, 'false positives');
  const agenda = openAgenda();
  const counts = { doubts: 0, suspicions: 0, deaths: 0 };
  const { heartbeatIntervalMs: everyMs, missedBeats } = terms;
  const fresh = (now: number): Watch =>
    createWatch(createDetector({ intervalMs: everyMs, missedBeats }, `secret ${seed} ${now}`, now));
  let provider = fresh(0);
  let witness: WitnessState = silentWitness;
  let echo = '';
  let ticking = false;
  let asking = false;
  const send = (link: Link, now: number, arrive: Happening): void => {
    const delay = way(dice, link, now);
    if (delay !== undefined) agenda.at(now + delay, arrive);
  };

  const answer = (heard: boolean, now: number): void => {
    agenda.at(now + ASK_MS / 2, (at) => {
      asking = false;
      provider = witnessed(provider, heard, at);
    });
  };
  const tickWitness = (now: number): void => {
    const [next, probes, verdicts] = probing(witness, now);
    witness = next;
    for (const { nonce } of probes)
      send('witnessToCustomer', now, (there) => {
        send('customerToWitness', there, (back) => {
          const replied = probeAnswered(witness, identities.A.edgeId, nonce, back);
          if (replied === undefined) return;
          witness = replied[0];
          answer(true, back);
        });
      });
    for (const { heard } of verdicts) answer(heard, now);
    if (Object.keys(witness.questions).length > 0) agenda.at(now + WITNESS_TICK_MS, tickWitness);
  };
  const askWitness = (now: number): void => {
    if (asking) return;
    asking = true;
    agenda.at(now + ASK_MS / 2, (at) => {
      witness = ask(witness, identities.A.edgeId, 'B', `witness ${seed} ${at}`, at);
      tickWitness(at);
    });
  };

  const look = (now: number): void => {
    const before = provider.suspicion;
    const [next, seen] = watch(provider, terms, now);
    provider = next;
    if (before === undefined && next.suspicion !== undefined) counts.doubts++;
    if (seen.suspected !== undefined) counts.suspicions++;
    for (const nonce of seen.probes ?? [])
      send('providerToCustomer', now, (there) => {
        send('customerToProvider', there, (back) => {
          provider = probeReplied(provider, nonce, back) ?? provider;
        });
      });
    if (seen.askWitness === true) askWitness(now);
    if (seen.dead !== undefined) {
      counts.deaths++;
      provider = fresh(now);
      echo = '';
    }
    ticking = isDoubtful(provider.detector, now + everyMs);
    if (ticking) agenda.at(now + TICK_MS, look);
  };

  let vigilAt = 0;
  for (let beat = 0; beat < beats; beat++) {
    const now = beat * everyMs;
    for (; vigilAt <= now; vigilAt += VIGIL_EVERY_MS) {
      agenda.run(vigilAt);
      const detector = rotateNonce(provider.detector, vigilAt, VIGIL_EVERY_MS);
      provider = { ...provider, detector };
      const nonce = currentNonce(detector);
      send('providerToCustomer', vigilAt, () => (echo = nonce));
    }
    agenda.run(now);
    const body = { bootId: 'boot', sequence: beat, echo };
    send('customerToProvider', now, (at) => {
      provider = { ...provider, detector: heardBeat(provider.detector, body, at) };
    });
    agenda.run(now + TICK_MS);
    // Where it does not doubt before the next beat, looking changes nothing.
    if (!ticking && isDoubtful(provider.detector, now + everyMs)) {
      ticking = true;
      agenda.at(now + TICK_MS, look);
    }
    agenda.run(now + everyMs);
  }
  return { simulatedMs: beats * everyMs, ...counts };
}
