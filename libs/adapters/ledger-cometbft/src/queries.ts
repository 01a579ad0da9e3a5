import { z } from 'zod';
import { describeError, AntirioError, fromUtf8, utf8, type ErrorCode } from '@antirio/kernel';
import { keys, type RecordedReceipt } from '@antirio/ledger-machine';
import type { StateStore } from './state-store.ts';

/** What the application answers to `abci_query`: the question in `data` as JSON, the answer in `value` as JSON. */
export const questions = {
  '/state': z.strictObject({ key: z.string().max(512) }),
  '/range': z.strictObject({
    /** All keys at once would be sorted, on the thread that blocks wait for. */
    prefix: z.string().max(256).includes('/', 'a family and its slash, such as `order/`'),
    after: z.string().max(512).optional(),
    limit: z.int().min(1).max(500),
  }),
  '/events': z.strictObject({
    from: z
      .string()
      .regex(/^\d{12}-\d{6}$/)
      .optional(),
    limit: z.int().min(1).max(500),
  }),
  '/block': z.strictObject({ height: z.int().min(0) }),
  '/receipts': z.strictObject({
    txs: z.array(z.strictObject({ txId: z.string().max(64), hash: z.string().max(64) })).max(200),
  }),
  '/head': z.strictObject({}),
} as const;

export type QueryPath = keyof typeof questions;
type QuestionOf<P extends QueryPath> = z.output<(typeof questions)[P]>;

/** No answer is larger than about this: what is left out is asked for behind the last that came. */
const MAX_ANSWER_CHARS = 2 << 20;

/** As many as fit in an answer, and one at least. */
function fitting<T>(items: Iterable<T>, limit: number): T[] {
  const taken: T[] = [];
  let chars = 0;
  for (const item of items) {
    chars += JSON.stringify(item).length;
    if (taken.length > 0 && (taken.length >= limit || chars > MAX_ANSWER_CHARS)) break;
    taken.push(item);
  }
  return taken;
}

function* behind(
  entries: Iterable<readonly [string, unknown]>,
  after: string | undefined,
): Iterable<readonly [string, unknown]> {
  for (const entry of entries) if (after === undefined || entry[0] > after) yield entry;
}

type Answers = { readonly [P in QueryPath]: (store: StateStore, question: QuestionOf<P>) => unknown };
const answers: Answers = {
  '/state': ({ state }, { key }) => ({ value: state.get(key) }),
  '/range': ({ state }, { prefix, after, limit }) => ({
    entries: fitting(behind(state.range(prefix), after), limit),
  }),
  '/events': (store, { from, limit }) => ({ events: fitting(store.events(from, limit), limit) }),
  '/block': (store, { height }) => ({ stateHash: store.stateHashAt(height) }),
  '/receipts': (store, { txs }) => ({
    head: headOf(store),
    receipts: txs.map(({ txId, hash }) => {
      const kept = store.state.get(keys.transaction(txId)) as RecordedReceipt | undefined;
      return kept?.receipt ?? store.refusalOf(hash) ?? null;
    }),
  }),
  '/head': headOf,
};

function headOf({ head: { height, stateHash, time } }: StateStore): unknown {
  return { height, stateHash, time };
}

export interface QueryAnswer {
  /** 0, or why there is no answer: `codespace` is the kind of error then. */
  readonly code: number;
  readonly codespace: string;
  readonly log: string;
  readonly value: Uint8Array;
}

const failed = (codespace: ErrorCode, log: string): QueryAnswer => ({
  code: 1,
  codespace,
  log,
  value: new Uint8Array(),
});

function answerTo(store: StateStore, path: QueryPath, data: Uint8Array): unknown {
  const asked: unknown = questions[path].parse(data.length === 0 ? {} : JSON.parse(fromUtf8(data)));
  // Of this path: its own schema has just said so.
  return answers[path](store, asked as never);
}

/** Answers a question, or says what is wrong with it; never throws. */
export function answerQuery(store: StateStore, path: string, data: Uint8Array): QueryAnswer {
  if (!Object.hasOwn(questions, path)) return failed('notFound', `there is no ${path.slice(0, 64)} here`);
  try {
    const value = utf8(JSON.stringify(answerTo(store, path as QueryPath, data)));
    return { code: 0, codespace: '', log: '', value };
  } catch (error) {
    if (error instanceof AntirioError) return failed(error.code, error.message);
    if (error instanceof z.ZodError) return failed('invalidInput', z.prettifyError(error));
    return failed('invalidInput', describeError(error));
  }
}
