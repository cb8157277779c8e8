import type { Message } from './message';

interface Parker {
  park(message: Message, reason: string, settled: (isParked: boolean) => void): void;
}

interface Parking {
  readonly message: Message;
  readonly reason: string;
  isWriting: boolean;
}

/** Messages on their way to the parked stream. One that could not be written waits here for the next attempt. */
export class ParkingPlace {
  private readonly parkings = new Set<Parking>();

  constructor(
    private readonly parker: Parker,
    private readonly onParked: (message: Message) => void,
  ) {}

  get size(): number {
    return this.parkings.size;
  }

  put(message: Message, reason: string): void {
    const parking = { message, reason, isWriting: false };
    this.parkings.add(parking);
    this.write(parking);
  }

  tryAgain(): void {
    for (const parking of this.parkings) if (!parking.isWriting) this.write(parking);
  }

  *messages(): Iterable<Message> {
    for (const { message } of this.parkings) yield message;
  }

  private write(parking: Parking): void {
    parking.isWriting = true;
    this.parker.park(parking.message, parking.reason, (isParked) => {
      parking.isWriting = false;
      if (!isParked) return;
      this.parkings.delete(parking);
      this.onParked(parking.message);
    });
  }
}
