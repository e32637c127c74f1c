// The movement alone, with yuka: a vehicle for each character that arrives at a target and turns as it goes, each frame;
// new targets eight times a second, spread over the frames. It decides nothing and looks for no neighbours.

import { ArriveBehavior, EntityManager, Vector3, Vehicle } from 'yuka';
import { randomly } from '../../tests/chaos/strikes.ts';
import { type Arm, decideHz } from './arm.ts';

export function yukaArm(count: number, seed = 1): Arm {
  const random = randomly(seed);
  const manager = new EntityManager();
  const width = Math.ceil(Math.sqrt(count));
  const targets: Vector3[] = [];
  for (let i = 0; i < count; i++) {
    const vehicle = new Vehicle();
    vehicle.position.set((i % width) * 3, 0, Math.floor(i / width) * 3);
    vehicle.maxSpeed = 1.4;
    vehicle.maxForce = 10;
    const target = new Vector3().set(vehicle.position.x, 0, vehicle.position.z);
    vehicle.steering.add(new ArriveBehavior(target, 1, 0.3));
    targets.push(target);
    manager.add(vehicle);
  }
  let turn = 0;
  let owed = 0;
  return {
    tick(_nowMs, dtMs) {
      owed = Math.min(owed + (count * dtMs * decideHz) / 1_000, count);
      for (; owed >= 1; owed--) {
        // About as many are on their way at a time as in the other arms: a third.
        if (random() < 0.02) targets[turn]!.set(random() * width * 3, 0, random() * width * 3);
        turn = (turn + 1) % count;
      }
      manager.update(dtMs / 1_000);
    },
  };
}
