import { optional } from './optional.ts';

/** The parts of the client of the network that are used, each loaded when Filecoin is chosen and not before. */
async function importSynapse() {
  const [sp, piece, chains, verifier, typedData, warmStorage, services, registry, payments, viem, accounts] =
    await Promise.all([
      import('@filoz/synapse-core/sp'),
      import('@filoz/synapse-core/piece'),
      import('@filoz/synapse-core/chains'),
      import('@filoz/synapse-core/pdp-verifier'),
      import('@filoz/synapse-core/typed-data'),
      import('@filoz/synapse-core/warm-storage'),
      import('@filoz/synapse-sdk/warm-storage'),
      import('@filoz/synapse-sdk/sp-registry'),
      import('@filoz/synapse-sdk/payments'),
      import('viem'),
      import('viem/accounts'),
    ]);
  const actions = await import('viem/actions');
  return {
    sp,
    piece,
    chains,
    verifier,
    typedData,
    warmStorage,
    WarmStorageService: services.WarmStorageService,
    SPRegistryService: registry.SPRegistryService,
    PaymentsService: payments.PaymentsService,
    viem,
    actions,
    privateKeyToAccount: accounts.privateKeyToAccount,
  };
}

export type Synapse = Awaited<ReturnType<typeof importSynapse>>;

/** @throws AntirioError badConfig when it is not installed */
export const loadSynapse = (): Promise<Synapse> => optional(importSynapse);
