import { AmbassadorProxy } from "ambassador-proxy";

// Main app
class PaymentService {
  constructor() {
    this.ambassador = new AmbassadorProxy("payment-api.example.com");
  }

  async charge(amount) {
    return this.ambassador.call(this._doCharge.bind(this), amount);
  }

  async _doCharge(amount) {
    if (Math.random() < 0.6) throw new Error("Payment API unreachable");
    return { status: "charged", amount };
  }
}

// Usage
const service = new PaymentService();
service.charge(99.99)
  .then(console.log)
  .catch(e => console.log("All retries failed:", e.message));
