import { AntirioError, signDocument, toHex, type Clock, type Identity, type Random } from '@antirio/kernel';
import {
  COVERAGE_KIND,
  beginCommitments,
  commit,
  heardAmong,
  isCommitmentDue,
  newestHead,
  receiptsDue,
  refuseMark,
  verifiesMark,
  type Commitments,
  type ContractTerms,
  type CoverageMark,
  type Receipts,
  type SignedMark,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { coverageName, keptMark } from './coverage-store.ts';
import { offersAfter, type AskBridge } from './ring-pages.ts';

/** A provider tells its customer what its ring heard while nobody else can have told it. */
export interface ReceiptTeller {
  /** Commits to what is new in the ring, and tells of it. */
  look(): Promise<void>;
}

export interface ReceiptTellerPorts {
  readonly terms: Pick<ContractTerms, 'contractId'>;
  readonly bridge: AskBridge;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly random: Random;
  readonly send: (receipts: Receipts) => Promise<void>;
}

export function createReceiptTeller({
  terms,
  bridge,
  clock,
  random,
  send,
}: ReceiptTellerPorts): ReceiptTeller {
  const { contractId } = terms;
  let known: Commitments | undefined;
  return {
    async look() {
      const after = known === undefined ? Number.MAX_SAFE_INTEGER : newestHead(known).through;
      const { offers, last, incarnation } = await offersAfter(bridge, contractId, after);
      // another life of the ring, or an older one brought back
      if (known?.incarnation !== incarnation || last < newestHead(known).through) {
        known = beginCommitments(contractId, toHex(random.bytes(8)), incarnation, last);
        return;
      }
      const through = offers.at(-1)?.seq ?? last;
      if (isCommitmentDue(known, through, clock.monotonic()))
        known = commit(known, offers, through, clock.monotonic());
      const due = receiptsDue(known, clock.monotonic());
      if (due !== undefined) await send(due);
    },
  };
}

/** Pages of the own ring that are looked through for what a customer's marks say. */
const PAGES_LOOKED_AT = 60;

/** The FCnts of 16 bits that our ring holds from a frame on, by DevAddr. */
async function heardFrom(
  bridge: AskBridge,
  contractId: string,
  seq: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const heard = new Map<string, number[]>();
  let after = seq - 1;
  for (let pages = 0; pages < PAGES_LOOKED_AT; pages++) {
    const { offers, last } = await offersAfter(bridge, contractId, after);
    for (const { devAddr, fcnt } of offers) {
      const fcnts = heard.get(devAddr);
      if (fcnts === undefined) heard.set(devAddr, [fcnt]);
      else fcnts.push(fcnt);
    }
    after = offers.at(-1)?.seq ?? last;
    if (offers.length === 0 || after >= last) return heard;
  }
  throw new AntirioError('tooLarge', 'the marks go back too far in our ring', { seq });
}

export type MarkAnswer = { readonly signature: string } | { readonly refused: string };

export interface Countersigning {
  readonly identity: Identity;
  readonly terms: ContractTerms;
  readonly bridge: AskBridge;
  readonly store: ContractStore;
}

/**
 * Signs those of its customer's marks that its own ring bears out, and keeps them.
 * @throws AntirioError unauthenticated, tooLarge
 */
export async function countersign(
  { identity, terms, bridge, store }: Countersigning,
  marks: readonly SignedMark[],
): Promise<MarkAnswer[]> {
  const { contractId, customer } = terms;
  if (!marks.every((mark) => verifiesMark(mark.body, customer, mark.signatures.customer)))
    throw new AntirioError('unauthenticated', 'the customer has not signed these marks');
  const seqs = marks.map(({ body }) => body.seq).filter((seq) => seq > 0);
  const heard =
    seqs.length === 0
      ? new Map<string, number[]>()
      : await heardFrom(
          bridge,
          contractId,
          seqs.reduce((a, b) => Math.min(a, b)),
        );
  const kept: [string, SignedMark][] = [];
  const answerTo = ({ body, signatures }: SignedMark): MarkAnswer => {
    const known = keptMark(store, contractId, body.devEui);
    const fcnts = heardAmong(heard.get(body.devAddr) ?? [], body.from, body.last);
    const refused = refuseMark(terms, body, known?.body, fcnts);
    if (refused !== undefined) return { refused };
    const { signature } = signDocument<CoverageMark>(identity, COVERAGE_KIND, body);
    kept.push([coverageName(body.devEui), { body, signatures: { ...signatures, provider: signature } }]);
    return { signature };
  };
  const answers = marks.map(answerTo);
  // before the answer: a signature that was given is known to both
  store.putDocuments(contractId, kept);
  return answers;
}
