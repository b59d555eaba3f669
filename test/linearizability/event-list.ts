/**
 * The calls and returns of the completed operations in the order of time, as a doubly linked list from which linearized
 * operations are lifted out, and into which backtracking puts them again (Wing & Gong; Lowe, "Testing for
 * linearizability", section 3). Node 0 is the head; operation i has call node 1 + 2i and return node 2 + 2i.
 */
export class EventList {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;

  constructor(operations: readonly { readonly call: number; readonly return: number }[]) {
    const nodes = Int32Array.from({ length: operations.length * 2 }, (_, i) => i + 1);
    const timeOf = (node: number) => {
      const operation = operations[operationOf(node)]!;
      return isReturn(node) ? operation.return : operation.call;
    };
    // Of what happened at the same time nobody knows the order: calls first makes it concurrent.
    nodes.sort((x, y) => timeOf(x) - timeOf(y) || Number(isReturn(x)) - Number(isReturn(y)) || x - y);
    this.#next = new Int32Array(nodes.length + 1);
    this.#previous = new Int32Array(nodes.length + 1);
    let last = 0;
    for (const node of nodes) {
      this.#next[last] = node;
      this.#previous[node] = last;
      last = node;
    }
  }

  /** The node after `node`; 0 at the end. */
  after(node: number): number {
    return this.#next[node]!;
  }

  /** Takes both nodes of an operation out. */
  lift(operation: number): void {
    this.#remove(callNode(operation));
    this.#remove(callNode(operation) + 1);
  }

  /** Undoes the latest `lift` that is not undone yet, which was of this operation. */
  unlift(operation: number): void {
    this.#restore(callNode(operation) + 1);
    this.#restore(callNode(operation));
  }

  #remove(node: number): void {
    const [before, after] = [this.#previous[node]!, this.#next[node]!];
    this.#next[before] = after;
    if (after !== 0) this.#previous[after] = before;
  }

  #restore(node: number): void {
    this.#next[this.#previous[node]!] = node;
    const after = this.#next[node]!;
    if (after !== 0) this.#previous[after] = node;
  }
}

export function callNode(operation: number): number {
  return 1 + 2 * operation;
}

export function operationOf(node: number): number {
  return (node - 1) >> 1;
}

export function isReturn(node: number): boolean {
  return node % 2 === 0;
}
