/** Bytes as the chain's tools write them: `0x` and hexadecimal digits. */
export type Hex = `0x${string}`;

/** The chain's clock. An epoch is 30 s. */
export interface ChainHead {
  readonly epoch: bigint;
  /** When it began, in milliseconds since the Unix epoch. */
  readonly at: number;
}

/** A storage provider as the registry has it. */
export interface ChainProvider {
  readonly id: bigint;
  readonly name: string;
  readonly payee: Hex;
  /** Where it takes and gives pieces. */
  readonly url: string;
  readonly minPieceBytes: bigint;
  readonly maxPieceBytes: bigint;
  readonly isActive: boolean;
}

/** Pieces of one payer at one provider, proven together. */
export interface ChainDataSet {
  readonly id: bigint;
  readonly providerId: bigint;
  readonly payer: Hex;
  /** What its payer called it, once for all time. */
  readonly clientDataSetId: bigint;
  /** It is proven and paid for; false where it was ended, or is about to be. */
  readonly isLive: boolean;
  /** Its label `source`. */
  readonly source: string | undefined;
}

export interface ChainProof {
  /** Of the last proof of the data set; undefined where there is none yet. */
  readonly lastEpoch: bigint | undefined;
  /** Whether the piece is among those that the current period's proof is about. */
  readonly isChallenged: boolean;
  /** Whether the current period has had its proof. */
  readonly isProvenNow: boolean;
  /** There is a proof in each period, somewhere in a window at its end; in epochs. */
  readonly periodEpochs: bigint;
  readonly windowEpochs: bigint;
}

/** What became of a nonce that we signed with; each is taken once and never again. */
export interface SpentNonce {
  readonly dataSetId: bigint;
  /** The id after the last piece that was added with it; 0 where it made the data set. */
  readonly nextPieceId: bigint;
}

/** In the token's smallest unit (USDFC has 18 decimals). */
export interface ServicePrice {
  readonly perTiBMonth: bigint;
  /** Of a data set, however small. */
  readonly minimumPerMonth: bigint;
  readonly epochsPerMonth: bigint;
  readonly currency: string;
}

/** What the payer has put in to be spent, in the token's smallest unit. */
export interface ServiceFunds {
  readonly available: bigint;
  /** Whether the storage service may charge the payer at all. */
  readonly isApproved: boolean;
  /** What it may still charge for an epoch, and hold back. */
  readonly rateLeft: bigint;
  readonly lockupLeft: bigint;
}

/**
 * Everything that has to do with the chain: what the contracts say, and the signatures by which the payer agrees to what a provider
 * then sends to them (no transaction is sent from here). Every call may fail with an AntirioError unavailable.
 */
export interface FilecoinChain {
  /** Of the payer. */
  readonly account: Hex;
  /** The contract of the storage service, which data sets belong to. */
  readonly recordKeeper: Hex;
  head(): Promise<ChainHead>;
  /** When an epoch begins, in milliseconds since the Unix epoch. */
  epochAt(epoch: bigint): number;
  provider(id: bigint): Promise<ChainProvider | undefined>;
  /** Those that the storage service trusts. */
  approvedProviders(): Promise<readonly bigint[]>;
  /** Ours, at one provider. */
  dataSetsAt(providerId: bigint): Promise<readonly ChainDataSet[]>;
  dataSet(id: bigint): Promise<ChainDataSet | undefined>;
  /** The ids that a piece has in a data set, those that are to be removed left out. */
  pieceIds(dataSetId: bigint, pieceCid: string): Promise<readonly bigint[]>;
  proof(dataSetId: bigint, pieceId: bigint): Promise<ChainProof>;
  spentNonce(nonce: bigint): Promise<SpentNonce | undefined>;
  price(): Promise<ServicePrice>;
  funds(): Promise<ServiceFunds>;
  signCreateDataSet(ask: { clientDataSetId: bigint; payee: Hex; source: string }): Promise<Hex>;
  signAddPiece(ask: { clientDataSetId: bigint; nonce: bigint; pieceCid: string; root: string }): Promise<Hex>;
  signRemovePiece(ask: { clientDataSetId: bigint; pieceId: bigint }): Promise<Hex>;
}
