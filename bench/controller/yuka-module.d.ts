// The part of yuka that the bench uses; the package has no types of its own.

declare module 'yuka' {
  export class Vector3 {
    x: number;
    y: number;
    z: number;
    set(x: number, y: number, z: number): this;
  }
  export class ArriveBehavior {
    constructor(target: Vector3, deceleration?: number, tolerance?: number);
    target: Vector3;
  }
  export class Vehicle {
    position: Vector3;
    velocity: Vector3;
    maxSpeed: number;
    maxForce: number;
    maxTurnRate: number;
    steering: { add(behavior: ArriveBehavior): void };
  }
  export class EntityManager {
    add(entity: Vehicle): this;
    update(delta: number): this;
  }
}
