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
export type SettlementRow = 'cancelled' | 'expired' | 'honoured' | 'providerBreach' | 'customerBreach' | 'undecided';

export type LifeStep =
  | { readonly step: 'sign' | 'validate' | 'ready' | 'degrade' | 'expire' | 'cancel' }
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
  rearm: ['HANDED_BACK'],
  expire: ['READY', 'DEGRADED', 'READY_EXPOSED', 'VALIDATED'],
  cancel: ['DRAFT', 'SIGNED', 'VALIDATED', 'READY', 'DEGRADED', 'READY_EXPOSED'],
  breach: ['READY', 'DEGRADED', 'READY_EXPOSED', 'ACTIVE', 'RETURNING', 'HANDED_BACK'],
  settle: ['HANDED_BACK', 'BREACHED', 'EXPIRED', 'CANCELLED', 'ACTIVE', 'RETURNING'],
};

function after(step: LifeStep): ContractLife {
  switch (step.step) {
    case 'sign':
      return { state: 'SIGNED' };
    case 'validate':
      return { state: 'VALIDATED' };
    case 'ready':
      return { state: 'READY' };
    case 'degrade':
      return { state: 'DEGRADED' };
    case 'activate':
      return { state: 'ACTIVE', epoch: step.epoch, holder: step.holder };
    case 'release':
      return { state: 'RETURNING', epoch: step.epoch };
    case 'handBack':
      return { state: 'HANDED_BACK', epoch: step.epoch };
    case 'rearm':
      return { state: step.exposed ? 'READY_EXPOSED' : 'READY' };
    case 'expire':
      return { state: 'EXPIRED' };
    case 'cancel':
      return { state: 'CANCELLED' };
    case 'breach':
      return { state: 'BREACHED', by: step.by };
    case 'settle':
      return { state: 'SETTLED', row: step.row };
  }
}

/** The next state, or why this step may not be taken from here. */
export function advance(life: ContractLife, step: LifeStep): Result<ContractLife> {
  if (!from[step.step].includes(life.state)) return refused(`cannot ${step.step} a contract that is ${life.state}`);
  if (step.step === 'release' && life.state === 'ACTIVE' && life.epoch !== step.epoch)
    return refused(`epoch ${step.epoch} is not the active one (${life.epoch})`);
  return ok(after(step));
}

export function isEnded(life: ContractLife): boolean {
  return life.state === 'SETTLED' || life.state === 'CANCELLED' || life.state === 'EXPIRED';
}
