import { keys, type ContractRecord } from '@antirio/ledger-machine';
import { activationTerms, escrowTerms, keepsOnly } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import { OVER_MS } from './expiring.ts';
import { EPOCH } from './host.ts';
import type { Pieces } from './pieces.ts';
import type { Emission } from './radio.ts';
import { rollDice, type Dice } from './random.ts';
import { drawScenario, type Fault, type NodeName, type Scenario } from './scenario.ts';
import { onEither } from './two-providers.ts';
import type { World } from './world.ts';

/** A world in which the provider only keeps frames. */
export interface Relay {
  /** It tries to take over all the same: centre and ledger keep it from that. */
  readonly isGreedy: boolean;
}

/** What a customer is away for: everything that its provider hears meanwhile comes home when it is back. */
function drawAway(dice: Dice, healAt: number): Fault {
  const at = dice.between(5000, Math.max(6000, healAt * 0.6));
  return { when: { at }, kind: dice.pick(['kill', 'freeze']), node: 'A', forMs: dice.between(3000, 30_000) };
}

/** In some of them another provider, C, has keys and takes over. */
export function drawRelay(seed: number): Scenario {
  const dice = rollDice(seed, 'relay');
  const scenario = drawScenario(seed);
  const expiresIn = dice.chance(0.3) ? dice.between(15_000, 50_000) : undefined;
  const healAt = Math.max(scenario.healAt, expiresIn === undefined ? 0 : expiresIn + OVER_MS);
  const later = healAt - scenario.healAt;
  const { silenceAt, endAt } = scenario;
  const besides = dice.chance(0.4);
  const faults = besides ? scenario.faults.map((fault) => onEither(dice, fault)) : scenario.faults;
  return {
    ...scenario,
    ...(besides ? { providers: ['B', 'C'] as const } : {}),
    gatewayLoss: { ...scenario.gatewayLoss, C: dice.between(0, 0.3) },
    terms: (devices) => {
      const { expiresAt, ...terms } = scenario.terms(devices);
      return {
        ...terms,
        confidentiality: 'relay',
        opening: 'witnessed',
        activation: activationTerms.parse({}),
        escrow: escrowTerms.parse({}),
        rekey: { waitS: 0 },
        expiresAt: expiresIn === undefined ? expiresAt : EPOCH + Math.round(expiresIn),
      };
    },
    faults: [...faults, ...(dice.chance(0.7) ? [drawAway(dice, scenario.healAt)] : [])],
    rekeying: { ...scenario.rekeying, waitS: 0 },
    relay: { isGreedy: dice.chance(0.4) },
    ...{ healAt, silenceAt: silenceAt + later, endAt: endAt + later },
  };
}

/** What a provider is made of that takes itself for one that takes over, as soon as it is READY. */
export function greedy(pieces: Pieces): Pieces {
  return {
    ...pieces,
    providerStep(state, event, context) {
      const { terms, phase } = state;
      const believed = phase.at === 'preparing' ? terms : ({ ...terms, confidentiality: 'process' } as const);
      const [next, effects] = pieces.providerStep({ ...state, terms: believed }, event, context);
      return [{ ...next, terms }, effects];
    },
  };
}

const KEEPER_IS: ReadonlySet<string> = new Set(['preparing', 'ready', 'ended']);
const GIVEN_AWAY: ReadonlySet<string> = new Set(['yielding', 'yielded', 'recovering', 'retaken', 'stating']);

/** Who only keeps frames never begins to take over, has no epoch, opens nothing, is given nothing and is never on air. */
export function watchKeeping({ ledger, contracts }: World, judge: Judge, relay: Relay | undefined) {
  const keepers = contracts.filter(({ terms }) => keepsOnly(terms));
  const isKeeper = (node: string): boolean => keepers.some(({ name }) => name === node);
  const isAlone = keepers.length === contracts.length;
  return {
    onPhase(node: NodeName, phase: string): void {
      if (keepers.length === 0) return;
      if (isKeeper(node) && relay?.isGreedy !== true && !KEEPER_IS.has(phase))
        judge.broken('keeping', `${node}, which only keeps frames, is ${phase}`);
      if (node === 'A' && isAlone && GIVEN_AWAY.has(phase))
        judge.broken('keeping', `the customer is ${phase}, and nobody could take its service`);
    },
    onAir({ edge }: Emission): void {
      if (isKeeper(edge)) judge.broken('keeping', `${edge}, which only keeps frames, is on air`);
    },
    atEnd(): void {
      for (const { terms, name, provider } of keepers) {
        const { contractId } = terms;
        const { openings, activation } = ledger.read(keys.contract(contractId)) as ContractRecord;
        if (openings > 0 || activation !== undefined || ledger.read(keys.keys(contractId)) !== undefined)
          judge.broken(
            'keeping',
            `the ledger knows of keys, or of an epoch, of ${name}, which only keeps frames`,
          );
        if (provider.disk.keysGiven) judge.broken('keeping', `${name}, which only keeps frames, has keys`);
      }
    },
  };
}
