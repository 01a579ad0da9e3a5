import { repeat, type Log, type Repeating } from '@antirio/host';
import { AntirioError, describeError } from '@antirio/kernel';
import type { LedgerClient } from '@antirio/ledger-http';
import { keys, txIdOf } from '@antirio/ledger-machine';
import type { OrderStore, OwnOrder } from './order-store.ts';

/** Signs and keeps before it sends: after a crash the very same transaction goes again. */
async function sign(ledger: LedgerClient, store: OrderStore, own: OwnOrder): Promise<OwnOrder> {
  const tx = await ledger.prepare({ type: 'order/place', order: own.order });
  const signed: OwnOrder = { ...own, state: 'submitting', tx, orderId: txIdOf(tx) };
  store.put(signed);
  return signed;
}

async function submit(ledger: LedgerClient, store: OrderStore, own: OwnOrder): Promise<void> {
  if (own.tx === undefined) return;
  const receipt = await ledger.submit(own.tx);
  // A ledger that does not know us yet forgets what we sent: the same transaction is good once we are registered.
  if (!receipt.ok && receipt.code === 'unauthenticated')
    throw new AntirioError('unavailable', receipt.message);
  store.put(
    receipt.ok ? { ...own, state: 'placed' } : { ...own, state: 'refused', refusal: receipt.message },
  );
}

async function withdraw(ledger: LedgerClient, store: OrderStore, own: OwnOrder): Promise<void> {
  if (own.orderId === undefined) {
    store.put({ ...own, state: 'withdrawn' });
    return;
  }
  const withdrawal =
    own.withdrawal ?? (await ledger.prepare({ type: 'order/withdraw', orderId: own.orderId }));
  if (own.withdrawal === undefined) store.put({ ...own, withdrawal });
  const receipt = await ledger.submit(withdrawal);
  // What is not there, or over already, need not be withdrawn.
  const over = receipt.ok || receipt.code === 'gone' || receipt.code === 'notFound';
  store.put({
    ...own,
    withdrawal,
    state: over ? 'withdrawn' : 'placed',
    refusal: receipt.ok ? undefined : receipt.message,
  });
}

async function advance(ledger: LedgerClient, store: OrderStore, own: OwnOrder): Promise<void> {
  if (own.state === 'accepted') await submit(ledger, store, await sign(ledger, store, own));
  else if (own.state === 'submitting') await submit(ledger, store, own);
  else if (own.state === 'withdrawing') await withdraw(ledger, store, own);
}

export interface OrderWork {
  poke(): void;
  /** What keeps orders from the ledger; undefined when nothing does. */
  obstacle(): string | undefined;
  /** Sees whether placed orders still stand. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

/** Brings every order to the ledger, and every withdrawal, until the ledger has answered. */
export function startOrderWork(
  ledger: LedgerClient,
  store: OrderStore,
  intervalMs: number,
  log: Log,
): OrderWork {
  let obstacle: string | undefined;
  const settle = async (): Promise<void> => {
    for (const own of store.withState('placed')) {
      const record = own.orderId === undefined ? undefined : await ledger.read(keys.order(own.orderId));
      const standing = record?.state === 'open' || record?.state === 'reserved';
      // It may have been withdrawn here while the ledger was asked.
      if (!standing && store.get(own.id)?.state === 'placed') store.put({ ...own, state: 'ended' });
    }
  };
  const work: Repeating = repeat('orders', intervalMs, log, async () => {
    for (const own of store.withState('accepted', 'submitting', 'withdrawing')) {
      try {
        await advance(ledger, store, own);
        obstacle = undefined;
      } catch (error) {
        obstacle = describeError(error);
        throw error;
      }
    }
  });
  return { poke: () => work.poke(), obstacle: () => obstacle, settle, stop: () => work.stop() };
}
