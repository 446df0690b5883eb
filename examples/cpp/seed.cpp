// The seed's program in C++: a payment service without networking logic, around an API that fails six times in ten. Waits are
// the defaults: up to 2 seconds, then up to 4. It may end with "All retries failed", and that is right.
#include <ambassador.hpp>

#include <exception>
#include <iostream>
#include <random>
#include <stdexcept>

// Main app: no networking logic
class PaymentService {
public:
    double charge(double amount)
    {
        return ambassador.call([&] { return do_charge(amount); });
    }

private:
    double do_charge(double amount)
    {
        if (std::bernoulli_distribution(0.6)(random))
            throw std::runtime_error("Payment API unreachable");
        return amount;
    }

    ambassador::AmbassadorProxy ambassador{"payment-api.example.com"};
    std::mt19937 random{std::random_device{}()};
};

// Usage
int main()
{
    PaymentService service;
    try {
        const double charged = service.charge(99.99);
        std::cout << "charged: " << charged << '\n';
    } catch (const std::exception &error) {
        std::cout << "All retries failed: " << error.what() << '\n';
    }
}
