/** Packets of one block; a block belongs to one history. */
export const packetsPerBlock = 32
const wordsPerPacket = 2
const nextWord = packetsPerBlock * wordsPerPacket
const previousWord = nextWord + 1
const wordsPerBlock = previousWord + 1
/** What a block takes, its owner's name and its number included. */
export const blockBytes: number = wordsPerBlock * 4 + 16
const blocksPerPage = 4096
/** The part of the memory that texts may take. */
const textShare = 1 / 8
const none = 0xffff_ffff

/** Whoever has blocks, and must part with the oldest of them when another one needs it more. */
export interface BlockOwner {
  /** Takes its oldest block out of use; it has been released already. */
  loseOldestBlock(): void
}

/**
 * The memory of all histories together, in blocks of 32 packets. Where none is left the block that was full first gives way, whosever it is: so the
 * oldest packets go first, and no history is ever copied.
 */
export class PacketStore {
  readonly #most: number
  readonly #mostTextBytes: number
  readonly #pages: Uint32Array[] = []
  readonly #owners: (BlockOwner | undefined)[] = []
  #made = 0
  #used = 0
  #free = none
  /** Full blocks, the one that was full first at the head. */
  #oldest = none
  #newest = none
  #textBytes = 0

  /** @param bytes of all histories, texts included; at least one block */
  constructor(bytes: number) {
    this.#mostTextBytes = Math.floor(bytes * textShare)
    this.#most = Math.max(1, Math.floor((bytes - this.#mostTextBytes) / blockBytes))
  }

  /** Memory in use, bytes. */
  get bytes(): number {
    return this.#used * blockBytes + this.#textBytes
  }

  /** Takes room for a text. False where texts have taken all they may. */
  takeText(bytes: number): boolean {
    if (this.#textBytes + bytes > this.#mostTextBytes) return false
    this.#textBytes += bytes
    return true
  }

  giveText(bytes: number): void {
    this.#textBytes -= bytes
  }

  /** A block for a history, at the cost of the oldest full one where none is left; undefined where no block is full. */
  allocate(owner: BlockOwner): number | undefined {
    if (this.#free === none && this.#made === this.#most) this.#evict()
    const block = this.#free === none ? this.#make() : this.#free
    if (block === undefined) return undefined
    if (block === this.#free) this.#free = this.word(block, nextWord)
    this.#owners[block] = owner
    this.#used++
    return block
  }

  /** Says that a block is full: from now on it may be taken away. */
  seal(block: number): void {
    this.write(block, previousWord, this.#newest)
    this.write(block, nextWord, none)
    if (this.#newest === none) this.#oldest = block
    else this.write(this.#newest, nextWord, block)
    this.#newest = block
  }

  /** Gives a block back that was sealed, or not. */
  release(block: number, sealed: boolean): void {
    if (sealed) this.#unlink(block)
    this.#owners[block] = undefined
    this.write(block, nextWord, this.#free)
    this.#free = block
    this.#used--
  }

  word(block: number, index: number): number {
    return this.#pages[Math.floor(block / blocksPerPage)]?.[(block % blocksPerPage) * wordsPerBlock + index] ?? 0
  }

  write(block: number, index: number, value: number): void {
    const page = this.#pages[Math.floor(block / blocksPerPage)]
    if (page !== undefined) page[(block % blocksPerPage) * wordsPerBlock + index] = value
  }

  #make(): number | undefined {
    if (this.#made === this.#most) return undefined
    if (this.#made === this.#pages.length * blocksPerPage) {
      this.#pages.push(new Uint32Array(Math.min(blocksPerPage, this.#most - this.#made) * wordsPerBlock))
    }
    return this.#made++
  }

  #evict(): void {
    const block = this.#oldest
    if (block === none) return
    const owner = this.#owners[block]
    this.release(block, true)
    owner?.loseOldestBlock()
  }

  #unlink(block: number): void {
    const previous = this.word(block, previousWord)
    const next = this.word(block, nextWord)
    if (previous === none) this.#oldest = next
    else this.write(previous, nextWord, next)
    if (next === none) this.#newest = previous
    else this.write(next, previousWord, previous)
  }
}
