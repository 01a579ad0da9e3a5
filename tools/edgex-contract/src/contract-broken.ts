/** The service did not keep to its contract, or the test asked for what the contract does not know. */
export class ContractBroken extends Error {
  override readonly name = 'ContractBroken';
}
