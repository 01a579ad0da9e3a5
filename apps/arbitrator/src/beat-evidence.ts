import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { beatProblem, type ContractTerms, type ShownBeat } from '@antirio/service-contract';

type Parties = Pick<ContractTerms, 'contractId' | 'customer' | 'provider'>;

/** So much text of an opening's evidence the ledger takes in one entry; a datagram's body is less. */
const MOST_CHARS = 1024;

/**
 * The customer's last beat among the evidence of an opening: text and numbers, as the ledger keeps it.
 *
 * @throws AntirioError invalidInput where it is not the customer's to this provider under this contract
 */
export function beatEvidence(shown: ShownBeat | undefined, terms: Parties): Record<string, string | number> {
  if (shown === undefined) return {};
  const { signed, msAgo } = shown;
  const beat = JSON.stringify(signed.body);
  const problem =
    beat.length > MOST_CHARS ? 'the beat shown is longer than any datagram' : beatProblem(signed, terms);
  if (problem !== undefined) throw new AntirioError('invalidInput', problem);
  return { beat, beatSignature: signed.signature, beatMsAgo: msAgo };
}

const kept = z.looseObject({ beat: z.string(), beatSignature: z.string(), beatMsAgo: z.int().min(0) });
/** What is told of one, whatever else a later version's says. */
const told = z.looseObject({
  to: z.string(),
  body: z.looseObject({ contractId: z.string(), bootId: z.string(), sequence: z.int(), epoch: z.int() }),
});

function bodyOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What an opening's evidence says of the customer's last beat, its signature looked at anew; undefined where it has none. */
export function beatIn(evidence: unknown, terms: Parties) {
  const found = kept.safeParse(evidence);
  if (!found.success) return undefined;
  const { beat, beatSignature: signature, beatMsAgo: msAgo } = found.data;
  const read = told.safeParse(bodyOf(beat));
  if (!read.success) return { isGenuine: false, msAgo };
  const { data: body } = read;
  const { bootId, sequence, epoch } = body.body;
  const signed = { kind: 'antirio/datagram/beat', by: terms.customer, body, signature } as const;
  return { isGenuine: beatProblem(signed, terms) === undefined, bootId, sequence, epoch, msAgo };
}
