import { ok, refused, type EdgeId, type Result } from '@antirio/kernel';

/** A contract's life, the same for customer, provider, arbitrators and ledger. */
export type ContractLife =
  | { readonly state: 'DRAFT' | 'SIGNED' | 'VALIDATED' | 'READY' | 'DEGRADED' | 'READY_EXPOSED' }
  /** `epoch` is the fencing token that `holder` acts under. */
  | { readonly state: 'ACTIVE'; readonly epoch: number; readonly holder: EdgeId }
  /** The holder released `epoch`; the customer takes its service back. */
  | { readonly state: 'RETURNING'; readonly epoch: number }
  | { readonly state: 'HANDED_BACK'; readonly epoch: number }
  | { readonly state: 'SETTLED'; readonly row: SettlementRow }
  | { readonly state: 'EXPIRED' | 'CANCELLED' }
  | { readonly state: 'BREACHED'; readonly by: 'customer' | 'provider' };

export type LifeState = ContractLife['state'];
export type SettlementRow =
  'cancelled' | 'expired' | 'honoured' | 'providerBreach' | 'customerBreach' | 'undecided';

export type LifeStep =
  | { readonly step: 'sign' }
  | { readonly step: 'validate' }
  | { readonly step: 'ready' }
  | { readonly step: 'degrade' }
  | { readonly step: 'expire' }
  | { readonly step: 'cancel' }
  | { readonly step: 'activate'; readonly epoch: number; readonly holder: EdgeId }
  | { readonly step: 'release'; readonly epoch: number }
  | { readonly step: 'handBack'; readonly epoch: number }
  | { readonly step: 'rearm'; readonly exposed: boolean }
  | { readonly step: 'breach'; readonly by: 'customer' | 'provider' }
  | { readonly step: 'settle'; readonly row: SettlementRow };

const from: { readonly [S in LifeStep['step']]: readonly LifeState[] } = {
  sign: ['DRAFT'],
  validate: ['SIGNED'],
  ready: ['VALIDATED', 'DEGRADED'],
  degrade: ['READY', 'READY_EXPOSED'],
  activate: ['READY', 'READY_EXPOSED', 'DEGRADED', 'RETURNING'],
  release: ['ACTIVE'],
  handBack: ['RETURNING'],
  rearm: ['HANDED_BACK', 'READY_EXPOSED', 'DEGRADED'],
  expire: ['READY', 'DEGRADED', 'READY_EXPOSED', 'VALIDATED', 'HANDED_BACK'],
  cancel: ['DRAFT', 'SIGNED', 'VALIDATED', 'READY', 'DEGRADED', 'READY_EXPOSED'],
  breach: ['READY', 'DEGRADED', 'READY_EXPOSED', 'ACTIVE', 'RETURNING', 'HANDED_BACK'],
  settle: ['HANDED_BACK', 'BREACHED', 'EXPIRED', 'CANCELLED', 'ACTIVE', 'RETURNING'],
};

type After = { readonly [S in LifeStep['step']]: (step: Extract<LifeStep, { step: S }>) => ContractLife };

const after: After = {
  sign: () => ({ state: 'SIGNED' }),
  validate: () => ({ state: 'VALIDATED' }),
  ready: () => ({ state: 'READY' }),
  degrade: () => ({ state: 'DEGRADED' }),
  expire: () => ({ state: 'EXPIRED' }),
  cancel: () => ({ state: 'CANCELLED' }),
  activate: ({ epoch, holder }) => ({ state: 'ACTIVE', epoch, holder }),
  release: ({ epoch }) => ({ state: 'RETURNING', epoch }),
  handBack: ({ epoch }) => ({ state: 'HANDED_BACK', epoch }),
  rearm: ({ exposed }) => ({ state: exposed ? 'READY_EXPOSED' : 'READY' }),
  breach: ({ by }) => ({ state: 'BREACHED', by }),
  settle: ({ row }) => ({ state: 'SETTLED', row }),
};

/** The next state, or why this step may not be taken from here. */
export function advance(life: ContractLife, step: LifeStep): Result<ContractLife> {
  if (!from[step.step].includes(life.state))
    return refused(`cannot ${step.step} a contract that is ${life.state}`);
  if (step.step === 'release' && life.state === 'ACTIVE' && life.epoch !== step.epoch)
    return refused(`epoch ${step.epoch} is not the active one (${life.epoch})`);
  const next = after[step.step] as (taken: LifeStep) => ContractLife;
  return ok(next(step));
}

export function isEnded(life: ContractLife): boolean {
  return life.state === 'SETTLED' || life.state === 'CANCELLED' || life.state === 'EXPIRED';
}
